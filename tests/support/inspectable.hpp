// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/background_thread.hpp>
#include <idempo/listing.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/blocking.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <utility>

namespace idempo::tests {

/// `blocking(Store)` on a thread of its own, with `peek` and `forget`, so that the whole contract applies.
template <async_store Store>
class inspectable {
public:
    static constexpr bool remembers_expired = remembering_store<Store>;

    template <class Options>
        requires std::constructible_from<Store, boost::asio::any_io_executor, Options>
    explicit inspectable(Options const& options)
        : thread_(std::make_shared<detail::background_thread>()),
          inner_(thread_->get_executor(), options),
          blocking_(inner_) {}

    claim_result claim(claim_request const& request, error_code& ec) { return blocking_.claim(request, ec); }
    complete_result complete(complete_request const& request, error_code& ec) {
        return blocking_.complete(request, ec);
    }
    void abandon(store_key const& key, fencing_token const& by, error_code& ec) { blocking_.abandon(key, by, ec); }
    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease, error_code& ec) {
        return blocking_.renew(key, by, lease, ec);
    }

    bool save_step(step_request const& step, error_code& ec)
        requires async_checkpointing_store<Store>
    {
        return blocking_.save_step(step, ec);
    }
    bool park(park_request const& request, error_code& ec)
        requires async_parking_store<Store>
    {
        return blocking_.park(request, ec);
    }
    bool settle(settle_request const& request, error_code& ec)
        requires async_parking_store<Store>
    {
        return blocking_.settle(request, ec);
    }

    std::optional<record_info> peek(store_key const& key, error_code& ec) { return blocking_.peek(key, ec); }
    bool forget(store_key const& key, error_code& ec) { return blocking_.forget(key, ec); }
    record_page list(list_request const& request, error_code& ec)
        requires async_listing_store<Store>
    {
        return blocking_.list(request, ec);
    }

    /// The store itself, for several operations at once.
    [[nodiscard]] Store& async() noexcept { return inner_; }

private:
    std::shared_ptr<detail::background_thread> thread_;
    Store inner_;
    blocking_store<Store> blocking_;
};

}  // namespace idempo::tests
