// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/ground_truth.hpp"
#include "simulation/surroundings.hpp"

#include <idempo/execution.hpp>
#include <idempo/options.hpp>
#include <idempo/step.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace idempo::simulation {

namespace http = boost::beast::http;

using text_request = http::request<http::string_body>;
using text_response = http::response<http::string_body>;

/// The handler: it charges once, and sometimes fails, before that or after it.
class service {
public:
    service(surroundings& world, std::size_t process) : world_(&world), process_(process) {}

    asio::awaitable<text_response> operator()(text_request request, execution& of) const;

private:
    asio::awaitable<void> charge(run& ran, execution& of, bool with_steps) const;
    asio::awaitable<text_response> charge_and_answer(run& ran, execution& of, std::string text) const;
    [[nodiscard]] ending ending_of(unsigned status) const;
    [[nodiscard]] ending ending_of_throw() const;
    text_response answer(run& ran, unsigned status, std::string text) const;

    surroundings* world_;
    std::size_t process_;
};

/// What a bank that is asked would say of a charge: the response of the run that had its effect, if any.
/// \param charge_key `execution::derived_key` with this label
[[nodiscard]] std::optional<text_response> find_out(ground_truth const& truth, std::size_t key,
                                                    std::string_view charge_key);
inline constexpr std::string_view charge_label = "charge";

[[nodiscard]] std::size_t key_of_text(std::string_view text);

}  // namespace idempo::simulation
