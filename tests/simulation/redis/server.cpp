// SPDX-License-Identifier: MIT
#include "simulation/redis/server.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace idempo::simulation {

namespace {

redis_reply ok() { return redis_reply::status{"OK"}; }
redis_reply text_or_nil(std::optional<std::string> text) {
    return text ? redis_reply(std::move(*text)) : redis_reply(redis_reply::nil());
}
redis_reply number(bool is) { return is ? 1LL : 0LL; }

}  // namespace

redis_reply simulated_redis::execute(redis_words const& words) {
    has_written_ = false;
    bool const is_harmless = words.front() == "INFO" || words.front() == "CLIENT" || words.front() == "AUTH";
    if (is_loading_ && !is_harmless) return redis_reply::error{"LOADING Redis is loading the dataset in memory"};
    try {
        return dispatch(words);
    } catch (redis_failure const& failure) {
        return redis_reply::error{failure.what};
    }
}

redis_reply simulated_redis::dispatch(redis_words const& words) {
    auto const& name = words.front();
    if (name == "EVALSHA" || name == "EVAL") return run_script(words);
    if (name == "SET") return set(words);
    if (name == "GET") return text_or_nil(data_.get(words.at(1)));
    if (name == "PTTL") return static_cast<long long>(data_.pttl(words.at(1)));
    if (name == "INFO") return info();
    if (name == "CLIENT" || name == "AUTH" || name == "SELECT") return ok();
    return write(words);
}

redis_reply simulated_redis::write(redis_words const& words) {
    auto const& name = words.front();
    bool const needs_memory = name == "HSET" || name == "RPUSH" || name == "INCR";
    bool const is_known = needs_memory || name == "DEL" || name == "PEXPIRE" || name == "PERSIST";
    if (!is_known) throw redis_failure{"ERR unknown command '" + name + "'"};
    condition_.check_write(needs_memory);
    has_written_ = true;
    if (name == "INCR") return data_.incr(words.at(1));
    if (name == "RPUSH") return static_cast<long long>(data_.rpush(words.at(1), words.at(2)));
    if (name == "PEXPIRE") return number(data_.pexpire(words.at(1), std::stoll(words.at(2))));
    if (name == "PERSIST") return number(data_.persist(words.at(1)));
    if (name == "HSET") {
        bool const is_new = !data_.hget(words.at(1), words.at(2));
        data_.hset(words.at(1), words.at(2), words.at(3));
        return number(is_new);
    }
    long long removed = 0;
    for (std::size_t i = 1; i < words.size(); ++i) removed += data_.del(words[i]) ? 1 : 0;
    return removed;
}

/// SET key value [NX] [GET] [PX life]
redis_reply simulated_redis::set(redis_words const& words) {
    bool only_new = false;
    bool gets = false;
    std::optional<std::int64_t> life;
    for (std::size_t i = 3; i < words.size(); ++i) {
        only_new = only_new || words[i] == "NX";
        gets = gets || words[i] == "GET";
        if (words[i] == "PX") life = std::stoll(words.at(++i));
    }
    condition_.check_write(true);
    auto const& key = words.at(1);
    auto const before = gets ? data_.get(key) : std::nullopt;
    bool const is_refused = only_new && data_.contains(key) && bug_ != mutant::redis_set_replaces;
    if (!is_refused) data_.set(key, words.at(2), life);
    has_written_ = !is_refused;
    if (gets) return text_or_nil(before);
    return is_refused ? redis_reply(redis_reply::nil()) : ok();
}

/// EVALSHA sha1 count keys... arguments...
redis_reply simulated_redis::run_script(redis_words const& words) {
    bool const has_source = words.front() == "EVAL";
    if (has_source) {
        if (words.at(1) != script_.source) throw redis_failure{"ERR a script that the simulation does not know"};
        knows_script_ = true;
    } else if (words.at(1) != script_.sha1 || !knows_script_) {
        throw redis_failure{"NOSCRIPT No matching script. Please use EVAL."};
    }
    auto const keys_end = words.begin() + 3 + std::stol(words.at(2));
    redis_words const keys(words.begin() + 3, keys_end);
    redis_words const arguments(keys_end, words.end());
    redis_script script(data_, condition_, bug_);
    constexpr unsigned often = 10;
    if (bug_ == mutant::redis_script_is_not_atomic && ++script_runs_ % often == 0) script.break_off();
    try {
        auto reply = script.run(keys, arguments);
        has_written_ = script.has_written();
        return reply;
    } catch (redis_failure const&) {
        has_written_ = script.has_written();
        throw;
    }
}

redis_reply simulated_redis::info() const {
    return std::string("# Server\r\nredis_version:7.0.15\r\nloading:") + (is_loading_ ? '1' : '0') +
           "\r\nrole:" + (condition_.is_replica ? "slave" : "master") +
           "\r\nmaxmemory_policy:noeviction\r\naof_enabled:0\r\n";
}

}  // namespace idempo::simulation
