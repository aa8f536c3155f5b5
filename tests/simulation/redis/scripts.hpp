// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/mutant.hpp"
#include "simulation/redis/command_reader.hpp"
#include "simulation/redis/database.hpp"
#include "simulation/redis/record.hpp"
#include "simulation/redis/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::simulation {

/// What a server refuses at the moment.
struct redis_condition {
    bool is_full = false;
    bool is_replica = false;
    /// The error that every write gets, as with MISCONF; empty: none.
    std::string refusal{};

    /// \throws redis_failure
    void check_write(bool needs_memory) const;
};

/// One run of the library's script, restated: what `redis/operations/impl/script.ipp` has in Lua is said here once more
/// in C++. A test runs both on the same operations.
class redis_script {
public:
    redis_script(redis_database& data, redis_condition const& condition, mutant bug)
        : data_(data),
          condition_(condition),
          bug_(bug) {}

    /// \param arguments the last one names the operation. \throws redis_failure
    [[nodiscard]] redis_reply run(redis_words const& keys, redis_words const& arguments);
    /// A seeded bug: after its first write it does no other.
    void break_off() noexcept { breaks_off_ = true; }
    [[nodiscard]] bool has_written() const noexcept { return has_written_; }

private:
    /// What is under the first key.
    struct found_value {
        /// Of a large record the header.
        std::string text;
        std::size_t size = 0;
        std::optional<redis_record> record;
    };

    redis_reply abandon();
    redis_reply claim();
    redis_reply complete();
    redis_reply fetch();
    redis_reply park();
    redis_reply peek();
    redis_reply renew();
    redis_reply save_step();
    redis_reply settle();
    redis_reply take();

    redis_reply claim_found(redis_record const& asked, found_value const& found);
    redis_reply complete_found(redis_record const& asked, found_value const& found);
    redis_reply park_found(redis_record const& asked, redis_record found);

    [[nodiscard]] std::optional<found_value> find();
    [[nodiscard]] std::string answer_in(found_value const& found);
    void keep(std::string const& record, std::int64_t life);
    void mark(std::int64_t life, std::string const& remember);
    void move_mark(std::int64_t life);
    [[nodiscard]] bool is_held_by(redis_record const& found, std::string_view token, std::int64_t left) const;
    [[nodiscard]] redis_reply says(std::string_view word) const;

    /// \name The commands that write
    /// @{
    void write(bool needs_memory);
    void set(std::string const& key, std::string value, std::int64_t life);
    void pexpire(std::int64_t life);
    void del(bool with_mark);
    /// @}

    [[nodiscard]] std::string const& key() const { return keys_->front(); }
    [[nodiscard]] bool has_mark() const { return keys_->size() > 1; }
    [[nodiscard]] std::string const& argument(std::size_t number) const { return arguments_->at(number - 1); }
    [[nodiscard]] std::int64_t number(std::size_t of) const { return std::stoll(argument(of)); }

    redis_database& data_;
    redis_condition const& condition_;
    mutant bug_;
    redis_words const* keys_ = nullptr;
    redis_words const* arguments_ = nullptr;
    /// What every answer begins with.
    std::string token_;
    /// Redis refuses a script's first write, and no later one.
    bool has_written_ = false;
    bool breaks_off_ = false;
};

}  // namespace idempo::simulation
