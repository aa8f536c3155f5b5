// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/handshake.hpp>
#include <idempo/redis/protocol/operation.hpp>

#include <idempo/redis/options.hpp>

#include <functional>
#include <string>
#include <utility>

namespace idempo::redis {

/// `INFO` once more on a connection that works: whether the server may still be used. Where it may not, or does not
/// say, the connection must not be used either; the next one will find the server fit or not.
class health_check final : public operation {
public:
    using on_problem = std::function<void(redis_problem, redis_server_info const&)>;

    health_check(redis_options const& options, on_problem tell)
        : operation({}, {}, operation_kind::unordered),
          options_(options),
          tell_(std::move(tell)) {}

    void append_command(std::string& to, server_abilities) override { redis::append_command(to, {"INFO"}); }

    [[nodiscard]] reading read(reply_view answer) override {
        if (!answer.is_string()) return reading::wrong_connection;
        auto const server = read_info(answer.text());
        auto const problem = check_server(server, options_);
        if (problem == redis_problem::none) return reading::answered;
        tell_(problem, server);
        return reading::wrong_connection;
    }

    void settle() override { is_settled_ = true; }
    void fail(error_code) override { is_settled_ = true; }
    [[nodiscard]] bool is_settled() const noexcept override { return is_settled_; }

private:
    redis_options const& options_;
    on_problem tell_;
    bool is_settled_ = false;
};

}  // namespace idempo::redis
