// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace idempo::redis {

/// Something that any of several servers can tell, and how to ask them.
struct question {
    /// In the order in which they are asked.
    std::vector<redis_endpoint> servers;
    std::string user;
    std::string password;
    std::shared_ptr<tls_setup> tls;
    std::shared_ptr<name_resolver> names;
    /// The command.
    std::vector<std::string> words;
    /// For each of the servers, from connecting to the reply.
    std::chrono::milliseconds timeout{};
    std::size_t max_array_elements = reply_reader::default_max_array_elements;
};

/// Asks the servers one after the other, each on a connection of its own, until an answer will do.
class probe : public std::enable_shared_from_this<probe> {
public:
    /// Whether the reply will do; what it says has been kept then. An error reply, which may be one to AUTH, never
    /// will.
    using on_reply = std::function<bool(reply_view, redis_endpoint const& from)>;
    /// The server whose reply did; nothing where there was none.
    using on_done = std::function<void(std::optional<redis_endpoint> const&)>;

    /// Both functions are called on the strand; `done` once, unless `cancel` was called before.
    static std::shared_ptr<probe> start(strand const& executor, question asked, on_reply accept, on_done done);

    /// On the strand: nothing is called from now on.
    void cancel();

    probe(strand const& executor, question asked, on_reply accept, on_done done);

private:
    void ask_next();
    void ask();
    void read_more();
    void on_bytes(std::string_view bytes);
    void give_up();
    void finish(std::optional<redis_endpoint> const& answered_by);

    strand strand_;
    question asked_;
    on_reply accept_;
    on_done done_;
    std::size_t next_ = 0;
    std::size_t unanswered_ = 0;
    std::shared_ptr<transport> transport_;
    std::unique_ptr<reply_reader> reader_;
    std::string outgoing_;
    std::array<char, 4096> incoming_{};
    asio::steady_timer timer_;
};

}  // namespace idempo::redis
