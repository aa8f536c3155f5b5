// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/response_fields.hpp>
#include <idempo/record/stored_response.hpp>

#include <boost/beast/http/message_generator.hpp>

#include <string_view>

namespace idempo::detail {

/// What `make_replay` makes, with `fields` applied to it, as a generator. The body is not copied: it shares the record.
/// \pre `stored.retained()`.
[[nodiscard]] http::message_generator make_replay_message(stored_response const& stored, unsigned version,
                                                          bool keep_alive, std::string_view marker_name,
                                                          std::string_view marker_value,
                                                          response_fields const& fields = {});

}  // namespace idempo::detail
