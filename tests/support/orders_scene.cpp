// SPDX-License-Identifier: MIT
#include "support/orders_scene.hpp"

#include "support/catch.hpp"

#include <idempo/identifiers.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace idempo::tests {

namespace {

std::vector<std::string> start_flags(orders_stores const& stores, std::vector<std::string> more) {
    set_orders_secret(orders_secret);
    return stores.flags(std::move(more));
}

}  // namespace

std::string orders_program() { return IDEMPO_ORDERS_SERVER; }

std::string order_of(int amount, std::string_view user) {
    return R"({"user_id":")" + std::string(user) + R"(","item":"green tea","amount":)" + std::to_string(amount) + "}";
}

namespace {

std::string sign(std::string_view body, std::string_view secret) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    auto const* const bytes = reinterpret_cast<unsigned char const*>(body.data());
    ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes, body.size(), digest.data(), &size);
    return to_hex({reinterpret_cast<char const*>(digest.data()), size});
}

}  // namespace

field_list signature_of(std::string_view key, std::string_view body, std::string_view secret) {
    auto const now = std::to_string(std::time(nullptr));
    auto const sent_key = std::string(make_post("/orders", key, {})["Idempotency-Key"]);
    auto const text = now + "." + sent_key + "\n" + std::string(body);
    return {{"X-Timestamp", now}, {"X-Signature", sign(text, secret)}};
}

text_request make_order(std::string_view key, std::string const& body) {
    return make_post("/orders", key, body, signature_of(key, body));
}

orders_stores::orders_stores() {
    server_process migration({"--migrate", "--database", database_url()}, orders_program());
    if (migration.wait() != 0) throw std::runtime_error("orders_server --migrate: " + migration.errors());
}

std::vector<std::string> orders_stores::flags(std::vector<std::string> more) const {
    auto words = std::move(more);
    words.insert(words.end(), {"--database", database_url(), "--redis", redis.url()});
    bool has_limit = false;
    for (auto const& word : words) has_limit = has_limit || word == "--rate-limit";
    if (!has_limit) words.insert(words.end(), {"--rate-limit", "1000000"});
    return words;
}

std::size_t orders_stores::orders() const { return std::stoul(database.ask("SELECT count(*) FROM orders")); }

orders_scene::orders_scene(orders_stores const& stores, std::vector<std::string> more)
    : server(start_flags(stores, std::move(more)), orders_program()),
      client(server.port()) {}

event_stream::event_stream(std::uint16_t port) {
    constexpr std::string_view request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    boost::asio::write(socket_, boost::asio::buffer(request));
}

void event_stream::read_until(std::vector<std::string> const& texts) {
    auto const is_missing = [this](std::string const& text) { return seen_.find(text) == std::string::npos; };
    std::array<char, 4096> bytes{};
    while (std::any_of(texts.begin(), texts.end(), is_missing)) {
        seen_.append(bytes.data(), socket_.read_some(boost::asio::buffer(bytes)));
    }
}

std::vector<std::string> each_orders_mode() {
    using words = std::vector<std::string>;
    return GENERATE(words{}, words{"--transactional"});
}

void set_orders_secret(char const* secret) {
    if (secret == nullptr) {
        ::unsetenv("ORDERS_HMAC_SECRET");
    } else {
        ::setenv("ORDERS_HMAC_SECRET", secret, 1);
    }
}

}  // namespace idempo::tests
