// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/filter.hpp>

#include <idempo/observer.hpp>

namespace idempo::detail {

http::response<http::string_body> refusal_style::refuse(refusal_details const& details,
                                                        answered_request const& request) const {
    auto response = make_refusal(problems, write_problem, details, request);
    event event;
    event.type = event_type::refused;
    event.status = response.result_int();
    notify(observer, event);
    return response;
}

}  // namespace idempo::detail
