// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/exchange/request_rules.hpp>
#include <idempo/execution.hpp>
#include <idempo/option_checks.hpp>
#include <idempo/options.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

namespace idempo::detail {

/// What the copies of a middleware share, and every running operation owns too.
template <class Handler, class Store>
struct middleware_state {
    using handler_type = Handler;
    using store_type = Store;

    middleware_state(Handler handler_, Store store_, idempo::options options_)
        : handler(std::move(handler_)),
          store(std::move(store_)),
          options(std::move(options_)),
          rules(options) {
        if constexpr (async_store<Store>) heartbeats = std::make_shared<detail::heartbeats>(renewal_executor(store));
    }

    Handler handler;
    Store store;
    idempo::options const options;
    request_rules const rules;
    /// Null where the store has no executor.
    std::shared_ptr<detail::heartbeats> heartbeats;
    std::atomic<std::size_t> in_flight{0};
    std::atomic<bool> draining{false};
};

/// \throws std::invalid_argument where the options make no sense, or need what the store cannot do
template <class Store>
void validate_for(options const& options, Store const& store) {
    validate(options);
    require(options.remember_expired == std::chrono::milliseconds::zero() || remembers(store),
            "options.remember_expired needs a store that remembers used keys, and this one does not");
    require(!has_other_identities(options) || inspectable(store),
            "options.previous, and a second secret in options.digest_keys, need a store with peek");
}

/// Counts a keyed request for `drain`, however it ends.
class in_flight_ticket {
public:
    explicit in_flight_ticket(std::atomic<std::size_t>& count) noexcept : count_(&count) { ++*count_; }
    in_flight_ticket(in_flight_ticket const&) = delete;
    in_flight_ticket& operator=(in_flight_ticket const&) = delete;
    ~in_flight_ticket() { --*count_; }

private:
    std::atomic<std::size_t>* count_;
};

}  // namespace idempo::detail
