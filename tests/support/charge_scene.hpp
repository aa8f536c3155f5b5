// SPDX-License-Identifier: MIT
#pragma once

#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/requests.hpp"
#include "support/server_process.hpp"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::tests {

inline constexpr char const* charge_42 = R"({"amount":42})";
inline constexpr char const* charge_43 = R"({"amount":43})";

/// Each style of session in turn: the test runs once for each.
std::string each_style();

/// A charge_server of a style, and a client that is connected to it.
class charge_scene {
public:
    explicit charge_scene(std::string const& style, std::initializer_list<std::string> flags = {});

    /// The effects so far.
    std::size_t charged() { return number("\"count\":"); }
    /// The executions that have begun so far.
    std::size_t started() { return number("\"started\":"); }
    void wait_until_started(std::size_t executions) {
        poll_until([&] { return started() >= executions; });
    }

    server_process server;
    http_client client;

private:
    std::size_t number(std::string_view name);
};

}  // namespace idempo::tests
