// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <utility>

namespace idempo {

namespace asio = boost::asio;

namespace detail {

/// The calls of a store that never blocks, with its type erased.
class direct_store {
public:
    direct_store() = default;
    direct_store(direct_store const&) = delete;
    direct_store& operator=(direct_store const&) = delete;
    virtual ~direct_store() = default;
    virtual claim_result claim(claim_request const& request, error_code& error) = 0;
    virtual complete_result complete(complete_request const& request, error_code& error) = 0;
    virtual void abandon(store_key const& key, fencing_token const& by, error_code& error) = 0;
    virtual bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
                       error_code& error) = 0;
    virtual bool save_step(step_request const& step, error_code& error) = 0;
    virtual bool park(park_request const& request, error_code& error) = 0;
    virtual std::optional<record_info> peek(store_key const& key, error_code& error) = 0;
    virtual bool forget(store_key const& key, error_code& error) = 0;
    virtual record_page list(list_request const& request, error_code& error) = 0;
};

/// The calls of any store, with its type erased.
class erased_store {
public:
    erased_store() = default;
    erased_store(erased_store const&) = delete;
    erased_store& operator=(erased_store const&) = delete;
    virtual ~erased_store() = default;
    virtual direct_store* direct() noexcept = 0;
    virtual bool renewable() const noexcept = 0;
    virtual bool keeps_steps() const noexcept = 0;
    virtual bool parks() const noexcept = 0;
    virtual bool inspectable() const noexcept = 0;
    virtual bool lists() const noexcept = 0;
    virtual bool remembers() const noexcept = 0;
    virtual asio::any_io_executor get_executor() const = 0;
    virtual asio::any_io_executor renewal_executor() const = 0;
    virtual void claim(claim_request request, asio::any_completion_handler<void(error_code, claim_result)> done) = 0;
    virtual void complete(complete_request request,
                          asio::any_completion_handler<void(error_code, complete_result)> done) = 0;
    virtual void abandon(store_key key, fencing_token by, asio::any_completion_handler<void(error_code)> done) = 0;
    virtual void renew(store_key key, fencing_token by, std::chrono::milliseconds lease,
                       asio::any_completion_handler<void(error_code, bool)> done) = 0;
    virtual void save_step(step_request step, asio::any_completion_handler<void(error_code, bool)> done) = 0;
    virtual void park(park_request request, asio::any_completion_handler<void(error_code, bool)> done) = 0;
    virtual void settle(settle_request request, asio::any_completion_handler<void(error_code, bool)> done) = 0;
    virtual void peek(store_key key,
                      asio::any_completion_handler<void(error_code, std::optional<record_info>)> done) = 0;
    virtual void forget(store_key key, asio::any_completion_handler<void(error_code, bool)> done) = 0;
    virtual void list(list_request request, asio::any_completion_handler<void(error_code, record_page)> done) = 0;
};

template <async_store Store>
class erased_async_store final : public erased_store {
public:
    explicit erased_async_store(Store store) : store_(std::move(store)) {}

    direct_store* direct() noexcept override { return nullptr; }
    bool renewable() const noexcept override { return async_renewable_store<Store>; }
    bool keeps_steps() const noexcept override { return detail::keeps_steps(store_); }
    bool parks() const noexcept override { return detail::parks(store_); }
    bool inspectable() const noexcept override { return detail::inspectable(store_); }
    bool lists() const noexcept override { return detail::lists(store_); }
    bool remembers() const noexcept override { return detail::remembers(store_); }
    asio::any_io_executor get_executor() const override { return store_.get_executor(); }
    asio::any_io_executor renewal_executor() const override { return detail::renewal_executor(store_); }
    void claim(claim_request request, asio::any_completion_handler<void(error_code, claim_result)> done) override {
        store_.async_claim(request, std::move(done));
    }
    void complete(complete_request request,
                  asio::any_completion_handler<void(error_code, complete_result)> done) override {
        store_.async_complete(std::move(request), std::move(done));
    }
    void abandon(store_key key, fencing_token by, asio::any_completion_handler<void(error_code)> done) override {
        store_.async_abandon(key, by, std::move(done));
    }
    void renew(store_key key, fencing_token by, std::chrono::milliseconds lease,
               asio::any_completion_handler<void(error_code, bool)> done) override {
        if constexpr (async_renewable_store<Store>) store_.async_renew(key, by, lease, std::move(done));
    }
    void save_step(step_request step, asio::any_completion_handler<void(error_code, bool)> done) override {
        if constexpr (async_checkpointing_store<Store>) store_.async_save_step(std::move(step), std::move(done));
    }
    void park(park_request request, asio::any_completion_handler<void(error_code, bool)> done) override {
        if constexpr (async_parking_store<Store>) store_.async_park(std::move(request), std::move(done));
    }
    void settle(settle_request request, asio::any_completion_handler<void(error_code, bool)> done) override {
        if constexpr (async_parking_store<Store>) store_.async_settle(std::move(request), std::move(done));
    }
    void peek(store_key key, asio::any_completion_handler<void(error_code, std::optional<record_info>)> done) override {
        if constexpr (async_inspectable_store<Store>) store_.async_peek(key, std::move(done));
    }
    void forget(store_key key, asio::any_completion_handler<void(error_code, bool)> done) override {
        if constexpr (async_inspectable_store<Store>) store_.async_forget(key, std::move(done));
    }
    void list(list_request request, asio::any_completion_handler<void(error_code, record_page)> done) override {
        if constexpr (async_listing_store<Store>) store_.async_list(std::move(request), std::move(done));
    }

private:
    Store store_;
};

template <nonblocking_store Store>
class erased_nonblocking_store final : public erased_store, public direct_store {
public:
    erased_nonblocking_store(Store store, asio::any_io_executor executor)
        : store_(std::move(store)),
          executor_(std::move(executor)) {}

    direct_store* direct() noexcept override { return this; }
    bool renewable() const noexcept override { return true; }
    bool keeps_steps() const noexcept override { return checkpointing_store<Store>; }
    bool parks() const noexcept override { return parking_store<Store>; }
    bool inspectable() const noexcept override { return inspectable_store<Store>; }
    bool lists() const noexcept override { return listing_store<Store>; }
    bool remembers() const noexcept override { return detail::remembers(store_); }
    asio::any_io_executor get_executor() const override { return executor_; }
    asio::any_io_executor renewal_executor() const override { return executor_; }

    claim_result claim(claim_request const& request, error_code& error) override {
        return store_.claim(request, error);
    }
    complete_result complete(complete_request const& request, error_code& error) override {
        return store_.complete(request, error);
    }
    void abandon(store_key const& key, fencing_token const& by, error_code& error) override {
        store_.abandon(key, by, error);
    }
    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
               error_code& error) override {
        return store_.renew(key, by, lease, error);
    }
    bool save_step(step_request const& step, error_code& error) override {
        if constexpr (checkpointing_store<Store>) return store_.save_step(step, error);
        return false;
    }
    bool park(park_request const& request, error_code& error) override {
        if constexpr (parking_store<Store>) return store_.park(request, error);
        return false;
    }
    std::optional<record_info> peek(store_key const& key, error_code& error) override {
        if constexpr (inspectable_store<Store>) return store_.peek(key, error);
        return std::nullopt;
    }
    bool forget(store_key const& key, error_code& error) override {
        if constexpr (inspectable_store<Store>) return store_.forget(key, error);
        return false;
    }
    record_page list(list_request const& request, error_code& error) override {
        if constexpr (listing_store<Store>) return store_.list(request, error);
        return {};
    }

    void claim(claim_request request, asio::any_completion_handler<void(error_code, claim_result)> done) override {
        error_code error;
        auto result = store_.claim(request, error);
        post(std::move(done), error, std::move(result));
    }
    void complete(complete_request request,
                  asio::any_completion_handler<void(error_code, complete_result)> done) override {
        error_code error;
        auto result = store_.complete(request, error);
        post(std::move(done), error, std::move(result));
    }
    void abandon(store_key key, fencing_token by, asio::any_completion_handler<void(error_code)> done) override {
        error_code error;
        store_.abandon(key, by, error);
        post(std::move(done), error);
    }
    void renew(store_key key, fencing_token by, std::chrono::milliseconds lease,
               asio::any_completion_handler<void(error_code, bool)> done) override {
        error_code error;
        bool const held = store_.renew(key, by, lease, error);
        post(std::move(done), error, held);
    }
    void save_step(step_request step, asio::any_completion_handler<void(error_code, bool)> done) override {
        error_code error;
        bool const is_kept = save_step(step, error);
        post(std::move(done), error, is_kept);
    }
    void park(park_request request, asio::any_completion_handler<void(error_code, bool)> done) override {
        error_code error;
        bool const is_parked = park(request, error);
        post(std::move(done), error, is_parked);
    }
    void settle(settle_request request, asio::any_completion_handler<void(error_code, bool)> done) override {
        error_code error;
        bool is_settled = false;
        if constexpr (parking_store<Store>) is_settled = store_.settle(request, error);
        post(std::move(done), error, is_settled);
    }
    void peek(store_key key, asio::any_completion_handler<void(error_code, std::optional<record_info>)> done) override {
        error_code error;
        auto info = peek(key, error);
        post(std::move(done), error, std::move(info));
    }
    void forget(store_key key, asio::any_completion_handler<void(error_code, bool)> done) override {
        error_code error;
        bool const was_there = forget(key, error);
        post(std::move(done), error, was_there);
    }
    void list(list_request request, asio::any_completion_handler<void(error_code, record_page)> done) override {
        error_code error;
        auto page = list(request, error);
        post(std::move(done), error, std::move(page));
    }

private:
    template <class Handler, class... Results>
    void post(Handler done, Results... results) {
        asio::post(executor_, asio::append(std::move(done), std::move(results)...));
    }

    Store store_;
    asio::any_io_executor executor_;
};

}  // namespace detail

/// Any store, so that a program can choose one in its configuration. Models `async_store`.
///
/// A handle: copies share the store. Operations keep it alive. Serves synchronous servers through `blocking(store)`.
class any_store {
public:
    /// An asynchronous store; it brings its executor.
    template <class Store>
        requires(!std::same_as<Store, any_store> && async_store<Store>)
    explicit any_store(Store store) : erased_(std::make_shared<detail::erased_async_store<Store>>(std::move(store))) {}

    /// A store that never blocks. It is still called directly; `executor` completes its asynchronous calls if the
    /// completion token has no executor.
    template <nonblocking_store Store>
    any_store(Store store, asio::any_io_executor executor)
        : erased_(std::make_shared<detail::erased_nonblocking_store<Store>>(std::move(store), std::move(executor))) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return erased_->get_executor(); }

    /// Where the store inside has its claims renewed.
    [[nodiscard]] asio::any_io_executor renewal_executor() const { return erased_->renewal_executor(); }

    /// Whether the store inside has Renew.
    [[nodiscard]] bool renewable() const noexcept { return erased_->renewable(); }

    /// Whether the store inside keeps steps.
    [[nodiscard]] bool keeps_steps() const noexcept { return erased_->keeps_steps(); }

    /// Whether the store inside parks records.
    [[nodiscard]] bool parks() const noexcept { return erased_->parks(); }

    /// Whether the store inside has `peek` and `forget`; whether it has `list`.
    [[nodiscard]] bool inspectable() const noexcept { return erased_->inspectable(); }
    [[nodiscard]] bool lists() const noexcept { return erased_->lists(); }

    /// Whether the store inside remembers used keys.
    static constexpr bool remembers_expired = true;
    [[nodiscard]] bool remembers() const noexcept { return erased_->remembers(); }

    /// The inner store if it never blocks, else null. Valid while this handle or a copy of it lives.
    [[nodiscard]] detail::direct_store* direct() const noexcept { return erased_->direct(); }

    template <asio::completion_token_for<void(error_code, claim_result)> Token>
    auto async_claim(claim_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, claim_result)>(
            [erased = erased_](auto handler, claim_request claim) { erased->claim(claim, std::move(handler)); }, done,
            request);
    }

    template <asio::completion_token_for<void(error_code, complete_result)> Token>
    auto async_complete(complete_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, complete_result)>(
            [erased = erased_](auto handler, complete_request complete) {
                erased->complete(std::move(complete), std::move(handler));
            },
            done, std::move(request));
    }

    template <asio::completion_token_for<void(error_code)> Token>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return asio::async_initiate<Token, void(error_code)>(
            [erased = erased_](auto handler, store_key of, idempo::fencing_token from) {
                erased->abandon(of, from, std::move(handler));
            },
            done, key, by);
    }

    /// \pre `renewable()`
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [erased = erased_](auto handler, store_key of, idempo::fencing_token from,
                               std::chrono::milliseconds length) {
                erased->renew(of, from, length, std::move(handler));
            },
            done, key, by, lease);
    }

    /// \pre `keeps_steps()`
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_save_step(step_request step, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [erased = erased_](auto handler, step_request saved) {
                erased->save_step(std::move(saved), std::move(handler));
            },
            done, std::move(step));
    }

    /// \pre `parks()`, here and below
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_park(park_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [erased = erased_](auto handler, park_request park) { erased->park(std::move(park), std::move(handler)); },
            done, std::move(request));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_settle(settle_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [erased = erased_](auto handler, settle_request settle) {
                erased->settle(std::move(settle), std::move(handler));
            },
            done, std::move(request));
    }

    /// \pre `inspectable()`, here and below
    template <asio::completion_token_for<void(error_code, std::optional<record_info>)> Token>
    auto async_peek(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, std::optional<record_info>)>(
            [erased = erased_](auto handler, store_key of) { erased->peek(of, std::move(handler)); }, done, key);
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_forget(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [erased = erased_](auto handler, store_key of) { erased->forget(of, std::move(handler)); }, done, key);
    }

    /// \pre `lists()`
    template <asio::completion_token_for<void(error_code, record_page)> Token>
    auto async_list(list_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, record_page)>(
            [erased = erased_](auto handler, list_request list) { erased->list(std::move(list), std::move(handler)); },
            done, std::move(request));
    }

private:
    std::shared_ptr<detail::erased_store> erased_;
};

}  // namespace idempo
