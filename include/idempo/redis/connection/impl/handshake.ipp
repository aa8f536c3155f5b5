// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/handshake.hpp>

#include <idempo/redis/connection/credentials.hpp>
#include <idempo/redis/protocol/reply_error.hpp>

#include <array>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

namespace idempo::redis {

namespace {

/// The value in the line "name:value" of INFO.
std::string_view field(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        auto const end = std::min(info.find("\r\n"), info.size());
        auto const line = info.substr(0, end);
        if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) return line.substr(name.size() + 1);
        info.remove_prefix(std::min(end + 2, info.size()));
    }
    return {};
}

/// The number before the first dot, which is removed with the dot.
unsigned take_number(std::string_view& version) {
    auto const end = std::min(version.find('.'), version.size());
    unsigned number = 0;
    std::from_chars(version.data(), version.data() + end, number);
    version.remove_prefix(std::min(end + 1, version.size()));
    return number;
}

}  // namespace

redis_server_info read_info(std::string_view info) {
    redis_server_info server;
    // Valkey says of itself which Redis it is compatible with.
    auto version = field(info, "redis_version");
    server.major = take_number(version);
    server.minor = take_number(version);
    server.patch = take_number(version);
    server.is_primary = field(info, "role") == "master";
    server.is_loading = field(info, "loading") == "1";
    server.eviction_policy = field(info, "maxmemory_policy");
    server.has_append_only_file = field(info, "aof_enabled") == "1";
    return server;
}

redis_problem check_server(redis_server_info const& server, redis_options const& options) {
    auto const oldest = options.wait_replicas.on_disk ? std::tuple(7U, 2U) : std::tuple(6U, 2U);
    if (std::tie(server.major, server.minor) < oldest) return redis_problem::too_old;
    if (server.is_loading || !server.is_primary) return redis_problem::not_ready;
    if (server.eviction_policy != "noeviction" && !options.allow_eviction) return redis_problem::evicts;
    return redis_problem::none;
}

server_abilities abilities_of(redis_server_info const& server) { return {server.major >= 7}; }

void append_authentication(std::string& to, std::string_view user, std::string_view password) {
    if (password.empty()) return;
    user.empty() ? append_command(to, {"AUTH", password}) : append_command(to, {"AUTH", user, password});
}

handshake::handshake(redis_options const& options, redis_credentials login)
    : options_(options),
      login_(std::move(login)) {
    if (!login_.password.empty()) asked_.push_back(question::auth);
    if (options_.database != 0) asked_.push_back(question::select);
    if (!options_.client_name.empty()) asked_.push_back(question::name);
    asked_.push_back(question::info);
}

std::string handshake::questions() const {
    std::string text;
    append_authentication(text, login_.user, login_.password);
    if (options_.database != 0) append_command(text, {"SELECT", std::to_string(options_.database)});
    if (!options_.client_name.empty()) append_command(text, {"CLIENT", "SETNAME", options_.client_name});
    append_command(text, {"INFO"});
    return text;
}

void handshake::receive(reply_view answer) {
    auto const asked = asked_[received_++];
    if (asked == question::name) {  // a user may lack the permission; where it is the server, INFO says the same
        if (!answer.is_error() && answer.text() != "OK") end(redis_problem::wrong_protocol);
        return;
    }
    if (answer.is_error()) {
        words_ = loggable(answer.text(), login_.password);
        bool const is_state = answer.text().starts_with("LOADING") || answer.text().starts_with("MASTERDOWN");
        return end(is_state ? redis_problem::not_ready : redis_problem::not_permitted);
    }
    if (asked != question::info) {
        if (answer.text() != "OK") end(redis_problem::wrong_protocol);
        return;
    }
    if (!answer.is_string()) return end(redis_problem::wrong_protocol);
    server_ = read_info(answer.text());
    end(check_server(server_, options_));
}

void handshake::end(redis_problem problem) {
    is_over_ = true;
    problem_ = problem;
}

}  // namespace idempo::redis
