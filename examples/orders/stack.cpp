// SPDX-License-Identifier: MIT
#include "orders/stack.hpp"

#include "orders/place_order.hpp"
#include "orders/service_log.hpp"

#include <idempo/layers/client.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/memory_rate_limiter.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/redis/rate_limiter.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/redis/url.hpp>

#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <utility>

namespace asio = boost::asio;

namespace {

idempo::options idempotency(stack_parts const& parts) {
    idempo::options options;
    options.require_key = true;
    options.retention = std::chrono::hours(24);
    // How long the orders of a killed process stay in flight. It is renewed while one takes longer.
    options.lease = std::chrono::seconds(5);
    // All clients share one secret, so they are one caller. The signature must not be part of the fingerprint, since a
    // rotated secret signs the same request differently.
    options.scope = idempo::scope::single_tenant();
    options.problems = parts.problems;
    options.observer = [&measured = parts.measured](idempo::event const& event) {
        measured.observe(event);
        service_log::idempotency(event);
    };
    return options;
}

/// The key is signed, or a captured order could be placed again under another one; and the time, or it could be sent
/// again when the record has expired.
idempo::hmac_options signatures(stack_parts const& parts) {
    idempo::hmac_options options;
    options.secret = parts.secret;
    options.signed_fields.emplace_back("Idempotency-Key");
    options.timestamp_header = "X-Timestamp";
    return options;
}

template <class Handler>
order_endpoint as_endpoint(Handler handle) {
    return [handle = std::move(handle)](http_request request, asio::ip::address const& peer) {
        idempo::set_peer(request, peer);
        return handle(std::move(request), asio::use_awaitable);
    };
}

}  // namespace

order_endpoint make_order_endpoint(stack_parts const& parts) {
    auto const authentication = idempo::hmac_auth(signatures(parts));
    idempo::rate const rate{.limit = parts.flags.rate_limit};
    if (parts.flags.transactional) {
        idempo::transactional_options database;
        database.database = idempo::parse_postgres_url(parts.flags.database, {.observer = service_log::postgres()});
        // Without Redis each process counts by itself.
        return as_endpoint(authentication | idempo::rate_limit(idempo::memory_rate_limiter(rate)) |
                           idempo::transactional(parts.executor, database, idempotency(parts)) |
                           transactional_place_order_handler(parts.problems));
    }
    auto const redis = idempo::parse_redis_url(parts.flags.redis, {.observer = service_log::redis()});
    return as_endpoint(authentication | idempo::rate_limit(idempo::redis_rate_limiter(parts.executor, redis, rate)) |
                       idempo::idempotency(idempo::redis_store(parts.executor, redis), idempotency(parts)) |
                       place_order_handler(parts.orders, parts.problems));
}
