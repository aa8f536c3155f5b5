// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_protocol.hpp>

#include <idempo/redis/connection/handshake.hpp>

#include <charconv>
#include <system_error>
#include <utility>

namespace idempo::redis {

namespace {

// The sentinels that follow a failover tell of the first when they hear of it; the one that leads it tells of the
// second then, and of the first up to a second later, when all replicas know.
constexpr std::string_view switch_channel = "+switch-master";
constexpr std::string_view promotion_channel = "+promoted-slave";

std::optional<redis_endpoint> read_endpoint(std::string_view host, std::string_view port) {
    std::uint16_t number = 0;
    auto const [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0 || host.empty()) return std::nullopt;
    return redis_endpoint{std::string(host), number};
}

/// The next word of a line of them; empty where there is none.
std::string_view take_word(std::string_view& line) {
    auto const end = std::min(line.find(' '), line.size());
    auto const word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

/// "name old-host old-port new-host new-port"
sentinel_news read_switch(std::string_view line, std::string_view primary_name) {
    if (take_word(line) != primary_name) return {sentinel_news::kind::nothing};
    take_word(line);
    take_word(line);
    auto const host = take_word(line);
    auto const port = take_word(line);
    auto const primary = read_endpoint(host, port);
    if (!primary || !line.empty()) return {sentinel_news::kind::malformed};
    return {sentinel_news::kind::moved, *primary};
}

/// "slave name host port @ name-of-primary host port"
sentinel_news read_promotion(std::string_view line, std::string_view primary_name) {
    std::string_view word;
    while (!line.empty() && word != "@") word = take_word(line);
    if (line.empty()) return {sentinel_news::kind::malformed};
    return {take_word(line) == primary_name ? sentinel_news::kind::promoted : sentinel_news::kind::nothing};
}

}  // namespace

sentinel_group::sentinel_group(redis_sentinels of, std::chrono::milliseconds connect_timeout,
                               std::shared_ptr<name_resolver> names_of_hosts)
    : options(std::move(of)),
      tls(options.tls ? make_tls_setup(*options.tls) : nullptr),
      names(std::move(names_of_hosts)),
      share(connect_timeout / (options.endpoints.size() + 1)),
      keep_alive(connect_timeout) {}

question where_is_primary(sentinel_group const& group, std::size_t first, std::size_t count) {
    auto const& all = group.options.endpoints;
    question asked;
    for (std::size_t each = 0; each < count; ++each) asked.servers.push_back(all[(first + each) % all.size()]);
    asked.user = group.options.user;
    asked.password = group.options.password;
    asked.tls = group.tls;
    asked.names = group.names;
    asked.words = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.options.primary_name};
    asked.timeout = group.share;
    return asked;
}

std::optional<redis_endpoint> read_primary(reply_view answer) {
    if (answer.size() != 2) return std::nullopt;
    return read_endpoint(answer[0].text(), answer[1].text());
}

redis_problem problem_of(reply_view answer) {
    bool const is_refused =
        answer.is_error() && (answer.text().find("AUTH") != std::string_view::npos ||
                              answer.text().starts_with("WRONGPASS") || answer.text().starts_with("NOPERM"));
    return is_refused ? redis_problem::not_permitted : redis_problem::unknown_primary;
}

std::string subscription(redis_sentinels const& sentinels) {
    std::string text;
    append_authentication(text, sentinels.user, sentinels.password);
    append_command(text, {"SUBSCRIBE", promotion_channel, switch_channel});
    return text;
}

sentinel_news read_news(reply_view message, std::string_view primary_name) {
    if (message.text() == "OK") return {sentinel_news::kind::nothing};  // to AUTH
    auto const kind = message[0].text();
    if (kind == "pong") return {sentinel_news::kind::nothing};
    if (message.size() != 3) return {sentinel_news::kind::malformed};
    auto const channel = message[1].text();
    if (channel == promotion_channel) {
        if (kind == "subscribe") return {sentinel_news::kind::nothing};  // the other one follows
        if (kind == "message") return read_promotion(message[2].text(), primary_name);
    }
    if (channel == switch_channel) {
        if (kind == "subscribe") return {sentinel_news::kind::subscribed};
        if (kind == "message") return read_switch(message[2].text(), primary_name);
    }
    return {sentinel_news::kind::malformed};
}

}  // namespace idempo::redis
