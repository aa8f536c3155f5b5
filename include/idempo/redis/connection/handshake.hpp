// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::redis {

/// What INFO says, as far as it matters here.
[[nodiscard]] redis_server_info read_info(std::string_view info);

/// Whether a store may use such a server.
[[nodiscard]] redis_problem check_server(redis_server_info const& server, redis_options const& options);

[[nodiscard]] server_abilities abilities_of(redis_server_info const& server);

/// AUTH, where there is a password.
void append_authentication(std::string& to, std::string_view user, std::string_view password);

/// The first questions on a connection, all asked at once: AUTH, SELECT and CLIENT SETNAME where they are needed, and
/// INFO. There is no HELLO: without it every Redis speaks RESP2.
class handshake {
public:
    /// \param options must outlive it
    explicit handshake(redis_options const& options) : handshake(options, {options.user, options.password}) {}
    handshake(redis_options const& options, redis_credentials login);

    [[nodiscard]] std::string questions() const;

    /// The next reply. From the last one on, or the first that is refused, `is_over()`.
    void receive(reply_view answer);

    [[nodiscard]] bool is_over() const noexcept { return is_over_; }
    /// \pre is_over()
    [[nodiscard]] redis_problem problem() const noexcept { return problem_; }
    [[nodiscard]] redis_server_info const& server() const noexcept { return server_; }
    /// The words with which the server has refused, for a log; else empty.
    [[nodiscard]] std::string const& words() const noexcept { return words_; }

private:
    enum class question { auth, select, name, info };

    void end(redis_problem problem);

    redis_options const& options_;
    redis_credentials login_;
    std::vector<question> asked_;
    std::size_t received_ = 0;
    std::string words_;
    bool is_over_ = false;
    redis_problem problem_ = redis_problem::none;
    redis_server_info server_;
};

}  // namespace idempo::redis
