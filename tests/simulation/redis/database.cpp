// SPDX-License-Identifier: MIT
#include "simulation/redis/database.hpp"

#include <charconv>
#include <utility>

namespace idempo::simulation {

namespace {

redis_failure wrong_type() { return {"WRONGTYPE Operation against a key holding the wrong kind of value"}; }

}  // namespace

redis_database::entry* redis_database::find(std::string_view key) {
    auto const found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    if (found->second.expires_at && now_ > *found->second.expires_at) {
        entries_.erase(found);
        return nullptr;
    }
    return &found->second;
}

redis_database::hash* redis_database::find_hash(std::string_view key) {
    auto* const found = find(key);
    if (found == nullptr) return nullptr;
    auto* const fields = std::get_if<hash>(&found->value);
    if (fields == nullptr) throw wrong_type();
    return fields;
}

std::optional<std::string> redis_database::get(std::string_view key) {
    auto* const found = find(key);
    if (found == nullptr) return std::nullopt;
    auto* const text = std::get_if<std::string>(&found->value);
    if (text == nullptr) throw wrong_type();
    return *text;
}

std::optional<std::string> redis_database::hget(std::string_view key, std::string_view field) {
    auto* const fields = find_hash(key);
    if (fields == nullptr) return std::nullopt;
    auto const found = fields->find(field);
    return found == fields->end() ? std::nullopt : std::optional(found->second);
}

std::size_t redis_database::hstrlen(std::string_view key, std::string_view field) {
    auto const found = hget(key, field);
    return found ? found->size() : 0;
}

redis_database::milliseconds redis_database::pttl(std::string_view key) {
    auto const* const found = find(key);
    if (found == nullptr) return -2;
    return found->expires_at ? *found->expires_at - now_ : -1;
}

void redis_database::set(std::string_view key, std::string value, std::optional<milliseconds> life) {
    if (life && *life <= 0) throw redis_failure{"ERR invalid expire time in 'set' command"};
    auto const expires_at = life ? std::optional(now_ + *life) : std::nullopt;
    entries_.insert_or_assign(std::string(key), entry{std::move(value), expires_at});
}

void redis_database::hset(std::string_view key, std::string_view field, std::string value) {
    auto* fields = find_hash(key);
    if (fields == nullptr)
        fields = &std::get<hash>(entries_.emplace(std::string(key), entry{hash(), std::nullopt}).first->second.value);
    fields->insert_or_assign(std::string(field), std::move(value));
}

std::size_t redis_database::rpush(std::string_view key, std::string value) {
    auto* found = find(key);
    if (found == nullptr) found = &entries_.emplace(std::string(key), entry{list(), std::nullopt}).first->second;
    auto* const elements = std::get_if<list>(&found->value);
    if (elements == nullptr) throw wrong_type();
    elements->push_back(std::move(value));
    return elements->size();
}

bool redis_database::del(std::string_view key) {
    if (find(key) == nullptr) return false;
    entries_.erase(entries_.find(key));
    return true;
}

bool redis_database::pexpire(std::string_view key, milliseconds life) {
    auto* const found = find(key);
    if (found == nullptr) return false;
    if (life <= 0) return del(key);
    found->expires_at = now_ + life;
    return true;
}

bool redis_database::persist(std::string_view key) {
    auto* const found = find(key);
    return found != nullptr && std::exchange(found->expires_at, std::nullopt).has_value();
}

long long redis_database::incr(std::string_view key) {
    auto const text = get(key);
    long long number = 0;
    if (text) {
        auto const* const end = text->data() + text->size();
        auto const [stopped, error] = std::from_chars(text->data(), end, number);
        if (error != std::errc() || stopped != end) throw redis_failure{"ERR value is not an integer or out of range"};
    }
    ++number;
    auto* const found = find(key);
    if (found == nullptr) {
        set(key, std::to_string(number));
    } else {
        found->value = std::to_string(number);
    }
    return number;
}

}  // namespace idempo::simulation
