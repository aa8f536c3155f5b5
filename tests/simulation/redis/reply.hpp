// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::simulation {

/// What a Redis server answers.
struct redis_reply {
    struct nil {
        friend bool operator==(nil const&, nil const&) = default;
    };
    struct status {
        std::string text;
        friend bool operator==(status const&, status const&) = default;
    };
    struct error {
        std::string text;
        friend bool operator==(error const&, error const&) = default;
    };
    using array = std::vector<redis_reply>;

    redis_reply() = default;
    redis_reply(nil) {}
    redis_reply(status from) : value(std::move(from)) {}
    redis_reply(error from) : value(std::move(from)) {}
    redis_reply(long long from) : value(from) {}
    redis_reply(std::string from) : value(std::move(from)) {}
    redis_reply(array from) : value(std::move(from)) {}

    std::variant<nil, status, error, long long, std::string, array> value;
};

/// As RESP2. https://redis.io/docs/latest/develop/reference/protocol-spec/
void append(std::string& to, redis_reply const& reply);

}  // namespace idempo::simulation
