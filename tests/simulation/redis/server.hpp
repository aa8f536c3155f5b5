// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/mutant.hpp"
#include "simulation/redis/command_reader.hpp"
#include "simulation/redis/database.hpp"
#include "simulation/redis/reply.hpp"
#include "simulation/redis/scripts.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace idempo::simulation {

/// The script that the server's clients use, by its name: one for all operations.
struct redis_known_script {
    std::string_view sha1;
    std::string_view source;
};

/// A Redis server of version 7.0 without its sockets: commands in, replies out. It knows the commands that the
/// library sends, and the few that put something else under a key. Whoever owns it sets the time before each command.
class simulated_redis {
public:
    explicit simulated_redis(redis_known_script script, mutant bug = mutant::none)
        : script_(std::move(script)),
          bug_(bug) {}

    [[nodiscard]] redis_reply execute(redis_words const& words);
    void set_time(redis_database::milliseconds now) { data_.set_time(now); }

    [[nodiscard]] redis_condition& condition() noexcept { return condition_; }
    void begin_loading() noexcept { is_loading_ = true; }
    void end_loading() noexcept { is_loading_ = false; }
    /// As after a restart, and on a replica that has become the primary.
    void forget_scripts() noexcept { knows_script_ = false; }

    /// Whether the last command has written anything.
    [[nodiscard]] bool has_written() const noexcept { return has_written_; }

    [[nodiscard]] redis_database& data() noexcept { return data_; }
    /// What a file or a replica had.
    void restore(redis_database const& earlier) { data_ = earlier; }

private:
    redis_reply dispatch(redis_words const& words);
    redis_reply write(redis_words const& words);
    redis_reply set(redis_words const& words);
    redis_reply run_script(redis_words const& words);
    [[nodiscard]] redis_reply info() const;

    redis_known_script script_;
    mutant bug_;
    redis_database data_;
    redis_condition condition_;
    bool knows_script_ = false;
    bool has_written_ = false;
    unsigned script_runs_ = 0;
    bool is_loading_ = false;
};

}  // namespace idempo::simulation
