// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/observer.hpp>
#include <idempo/record/record_format.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/record_seal.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/errc.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace idempo {

namespace asio = boost::asio;

/// Encrypts what any store keeps: AES-256-GCM over each record. Who reads the store, its log or its backups, sees no
/// answer; who writes to it can neither change one, nor move it to another key or request, nor put an old one back.
/// Models `store` or `async_store` where the inner one does, and has its Renew, `peek` and `forget`. It keeps no steps
/// and parks no records, whose bytes would lie there in clear. It remembers used keys where the inner store does.
///
/// In clear remain: the store key and the fingerprint, which are digests; fencing token, times and attempt; the size of
/// the answer. Everything that the inner store promises holds, but the size of a record: a seal adds 41 bytes, and of
/// the room that Claim reserves (`small_record_bytes`) 23 remain, where a tombstone fits.
///
/// A record that cannot be opened is given as an empty one, which no version can read: the middleware answers 500
/// (`refusal::record_unreadable`), tells the observer, and does not run the handler. When OpenSSL or memory fails, a
/// call ends with `errc::not_enough_memory`, and Complete is tried again.
///
/// A handle: copies share the keys, and any member may be called from any thread. Compression below this layer finds
/// nothing to compress.
template <class Store>
    requires(store<Store> || async_store<Store>)
class sealed_store {
public:
    /// A store that never blocks does not block when it is sealed.
    static constexpr bool never_blocks = nonblocking_store<Store>;

    /// \throws std::invalid_argument where `options` makes no sense; see `seal_options`.
    sealed_store(Store store, seal_options options)
        : store_(std::move(store)),
          seal_(std::make_shared<detail::record_seal const>(std::move(options))) {}

    claim_result claim(claim_request const& request, error_code& error)
        requires idempo::store<Store>
    {
        auto result = store_.claim(request, error);
        open(*seal_, {request.key, request.fingerprint}, error, result);
        return result;
    }

    complete_result complete(complete_request const& request, error_code& error)
        requires idempo::store<Store>
    {
        auto sealed = seal(*seal_, request, error);
        if (error) return {};
        auto result = store_.complete(sealed, error);
        open(*seal_, {request.key, request.fingerprint}, error, result);
        return result;
    }

    void abandon(store_key const& key, fencing_token const& by, error_code& error)
        requires idempo::store<Store>
    {
        store_.abandon(key, by, error);
    }

    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease, error_code& error)
        requires renewable_store<Store>
    {
        return store_.renew(key, by, lease, error);
    }

    std::optional<record_info> peek(store_key const& key, error_code& error)
        requires inspectable_store<Store>
    {
        auto info = store_.peek(key, error);
        if (info) without_seal(*info);
        return info;
    }

    bool forget(store_key const& key, error_code& error)
        requires inspectable_store<Store>
    {
        return store_.forget(key, error);
    }

    record_page list(list_request const& request, error_code& error)
        requires listing_store<Store>
    {
        auto page = store_.list(request, error);
        for (auto& each : page.records) without_seal(each.info);
        return page;
    }

    /// Whether the store inside has `peek` and `forget`; whether it has `list`.
    [[nodiscard]] bool inspectable() const noexcept { return detail::inspectable(store_); }
    [[nodiscard]] bool lists() const noexcept { return detail::lists(store_); }

    /// As `blocking_store::keep_alive`.
    [[nodiscard]] auto keep_alive(claim_request const& claim, idempo::observer told)
        requires requires(Store& inner) { inner.keep_alive(claim, told); }
    {
        return store_.keep_alive(claim, std::move(told));
    }

    [[nodiscard]] asio::any_io_executor get_executor() const
        requires async_store<Store>
    {
        return store_.get_executor();
    }

    [[nodiscard]] asio::any_io_executor renewal_executor() const
        requires async_store<Store>
    {
        return detail::renewal_executor(store_);
    }

    /// Whether the store inside has Renew; whether it remembers used keys.
    [[nodiscard]] bool renewable() const noexcept { return detail::renewable(store_); }
    static constexpr bool remembers_expired = remembering_store<Store>;
    [[nodiscard]] bool remembers() const noexcept { return detail::remembers(store_); }

    template <asio::completion_token_for<void(error_code, claim_result)> Token>
        requires async_store<Store>
    auto async_claim(claim_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, claim_result)>(
            [store = store_, seal = seal_](auto handler, claim_request claim) mutable {
                store.async_claim(
                    claim, opening<claim_result>(store, seal, {claim.key, claim.fingerprint}, std::move(handler)));
            },
            done, request);
    }

    template <asio::completion_token_for<void(error_code, complete_result)> Token>
        requires async_store<Store>
    auto async_complete(complete_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, complete_result)>(
            [store = store_, seal = seal_](auto handler, complete_request complete) mutable {
                error_code error;
                auto sealed = sealed_store::seal(*seal, complete, error);
                auto opened =
                    opening<complete_result>(store, seal, {complete.key, complete.fingerprint}, std::move(handler));
                if (!error) return store.async_complete(std::move(sealed), std::move(opened));
                asio::post(opened.get_executor(), asio::append(std::move(opened), error, complete_result{}));
            },
            done, std::move(request));
    }

    template <asio::completion_token_for<void(error_code)> Token>
        requires async_store<Store>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return store_.async_abandon(key, by, std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_renewable_store<Store>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done) {
        return store_.async_renew(key, by, lease, std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, std::optional<record_info>)> Token>
        requires async_inspectable_store<Store>
    auto async_peek(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, std::optional<record_info>)>(
            [store = store_](auto handler, store_key of) mutable {
                auto const adjust = [](std::optional<record_info>& info) {
                    if (info) without_seal(*info);
                };
                store.async_peek(of, adjusting<std::optional<record_info>>(store, adjust, std::move(handler)));
            },
            done, key);
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_inspectable_store<Store>
    auto async_forget(store_key key, Token&& done) {
        return store_.async_forget(key, std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, record_page)> Token>
        requires async_listing_store<Store>
    auto async_list(list_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, record_page)>(
            [store = store_](auto handler, list_request list) mutable {
                auto const adjust = [](record_page& page) {
                    for (auto& each : page.records) without_seal(each.info);
                };
                store.async_list(std::move(list), adjusting<record_page>(store, adjust, std::move(handler)));
            },
            done, std::move(request));
    }

private:
    static void without_seal(record_info& info) {
        if (info.record_bytes >= detail::record_seal::overhead) info.record_bytes -= detail::record_seal::overhead;
    }

    /// `handler`, on its executor, with the result as `adjust(result)` has changed it.
    template <class Result, class Adjust, class Handler>
    static auto adjusting(Store const& store, Adjust adjust, Handler handler) {
        auto const executor = asio::get_associated_executor(handler, store.get_executor());
        return asio::bind_executor(executor,
                                   [adjust, handler = std::move(handler)](error_code error, Result result) mutable {
                                       adjust(result);
                                       std::move(handler)(error, std::move(result));
                                   });
    }

    static complete_request seal(detail::record_seal const& seal, complete_request request, error_code& error) {
        error.clear();
        try {
            request.record = seal.seal({request.key, request.fingerprint}, request.record, request.retention);
        } catch (std::exception const&) {  // the interface of a store reports by error code
            error = make_error_code(boost::system::errc::not_enough_memory);
        }
        return request;
    }

    template <class Result>
    static void open(detail::record_seal const& seal, detail::seal_context const& whose, error_code& error,
                     Result& result) {
        auto* const met = std::get_if<completed>(&result);
        if (error || met == nullptr) return;
        try {
            met->record = seal.open(whose, met->record).value_or(shared_bytes());
        } catch (std::exception const&) {
            error = make_error_code(boost::system::errc::not_enough_memory);
            result = Result{};
        }
    }

    /// `handler`, on its executor, with the record of a result opened before.
    template <class Result, class Handler>
    static auto opening(Store const& store, std::shared_ptr<detail::record_seal const> seal, detail::seal_context whose,
                        Handler handler) {
        auto const executor = asio::get_associated_executor(handler, store.get_executor());
        return asio::bind_executor(executor, [seal = std::move(seal), whose,
                                              handler = std::move(handler)](error_code error, Result result) mutable {
            open(*seal, whose, error, result);
            std::move(handler)(error, std::move(result));
        });
    }

    static_assert(record_format::tombstone_size + detail::record_seal::overhead <= small_record_bytes);

    Store store_;
    std::shared_ptr<detail::record_seal const> seal_;
};

/// `sealed(store, {.keys = {{1, secret}}})`.
template <class Store>
    requires(store<Store> || async_store<Store>)
[[nodiscard]] sealed_store<Store> sealed(Store store, seal_options options) {
    return {std::move(store), std::move(options)};
}

}  // namespace idempo
