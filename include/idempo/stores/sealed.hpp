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
#include <type_traits>
#include <utility>
#include <variant>

namespace idempo {

namespace asio = boost::asio;

/// Encrypts what any store keeps: AES-256-GCM over each record, each step and the reason of a parked record. Who reads
/// the store, its log or its backups, sees no answer and no step; who writes to it can neither change one, nor move it
/// to another key, request or place, nor put an old answer back. Models `store` or `async_store` where the inner one
/// does, has its Renew, `peek`, `forget` and `list`, keeps steps, parks and remembers used keys where it does.
///
/// In clear remain: the store key and the fingerprint, which are digests; fencing token, times and attempt; how large
/// the answer, the steps and the reason are. Everything that the inner store promises holds, but sizes: a seal adds 41
/// bytes to a record, 37 to a step, 33 to a reason, which is cut for it. Of the room that Claim reserves
/// (`small_record_bytes`) 23 remain, where a tombstone fits. `peek` tells the size of the steps with their seals.
///
/// A record that cannot be opened is given as an empty one, which no version can read: the middleware answers 500
/// (`refusal::record_unreadable`), tells the observer, and does not run the handler. A claim whose steps cannot be
/// opened ends with `error::record_unreadable`, and the handler does not run either; it is the caller's to abandon it,
/// as after any error. A reason that cannot be opened is empty. When OpenSSL or memory fails, a call ends with
/// `errc::not_enough_memory`, and Complete is tried again.
///
/// Not seen: steps have no expiry of their own. Who writes to the store can take the last ones away, or put back steps
/// that an earlier run of the same request with the same key has made.
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
        if (info) without_seal(*seal_, key, *info);
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
        for (auto& each : page.records) without_seal(*seal_, each.key, each.info);
        return page;
    }

    /// Whether the store inside has `peek` and `forget`; whether it has `list`.
    [[nodiscard]] bool inspectable() const noexcept { return detail::inspectable(store_); }
    [[nodiscard]] bool lists() const noexcept { return detail::lists(store_); }

    bool save_step(step_request const& step, error_code& error)
        requires checkpointing_store<Store>
    {
        auto const sealed = seal(*seal_, step, error);
        return !error && store_.save_step(sealed, error);
    }

    bool park(park_request const& request, error_code& error)
        requires parking_store<Store>
    {
        auto const sealed = seal(*seal_, request, error);
        return !error && store_.park(sealed, error);
    }

    bool settle(settle_request const& request, error_code& error)
        requires parking_store<Store>
    {
        auto const sealed = seal(*seal_, request, error);
        return !error && store_.settle(sealed, error);
    }

    /// Whether the store inside keeps steps; whether it parks records.
    [[nodiscard]] bool keeps_steps() const noexcept { return detail::keeps_steps(store_); }
    [[nodiscard]] bool parks() const noexcept { return detail::parks(store_); }

    /// As `blocking_store::keep_alive`.
    [[nodiscard]] auto keep_alive(claim_request const& claim, std::chrono::steady_clock::time_point claimed_at,
                                  idempo::observer told)
        requires detail::self_renewing_store<Store>
    {
        return store_.keep_alive(claim, claimed_at, std::move(told));
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
                fail<complete_result>(store, error, std::move(opened));
            },
            done, std::move(request));
    }

    /// \pre `keeps_steps()`
    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_checkpointing_store<Store>
    auto async_save_step(step_request step, Token&& done) {
        return send_sealed(std::move(step), std::forward<Token>(done),
                           [](Store& store, step_request sealed, auto handler) {
                               store.async_save_step(std::move(sealed), std::move(handler));
                           });
    }

    /// \pre `parks()`, here and below
    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_parking_store<Store>
    auto async_park(park_request request, Token&& done) {
        return send_sealed(std::move(request), std::forward<Token>(done),
                           [](Store& store, park_request sealed, auto handler) {
                               store.async_park(std::move(sealed), std::move(handler));
                           });
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_parking_store<Store>
    auto async_settle(settle_request request, Token&& done) {
        return send_sealed(std::move(request), std::forward<Token>(done),
                           [](Store& store, settle_request sealed, auto handler) {
                               store.async_settle(std::move(sealed), std::move(handler));
                           });
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
            [store = store_, seal = seal_](auto handler, store_key of) mutable {
                auto const adjust = [seal, of](std::optional<record_info>& info) {
                    if (info) without_seal(*seal, of, *info);
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
            [store = store_, seal = seal_](auto handler, list_request list) mutable {
                auto const adjust = [seal](record_page& page) {
                    for (auto& each : page.records) without_seal(*seal, each.key, each.info);
                };
                store.async_list(std::move(list), adjusting<record_page>(store, adjust, std::move(handler)));
            },
            done, std::move(request));
    }

private:
    static void without_seal(detail::record_seal const& seal, store_key const& key, record_info& info) {
        if (info.record_bytes >= detail::record_seal::overhead) info.record_bytes -= detail::record_seal::overhead;
        if (!info.reason.empty()) info.reason = opened_reason(seal, key, shared_bytes(info.reason)).view();
    }

    /// A reason that cannot be opened does not keep anybody from the record.
    static shared_bytes opened_reason(detail::record_seal const& seal, store_key const& key,
                                      shared_bytes const& reason) noexcept {
        try {
            return seal.open_reason(key, reason);
        } catch (std::exception const&) {
            return {};
        }
    }

    /// `call(store, sealed, handler)`, where sealing does not fail.
    template <class Request, class Token, class Call>
    auto send_sealed(Request request, Token&& done, Call call) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [store = store_, seal = seal_, call](auto handler, Request plain) mutable {
                error_code error;
                auto sealed = sealed_store::seal(*seal, std::move(plain), error);
                if (error) return fail<bool>(store, error, std::move(handler));
                call(store, std::move(sealed), std::move(handler));
            },
            done, std::move(request));
    }

    /// Completes with the error, as the store would.
    template <class Result, class Handler>
    static void fail(Store const& store, error_code error, Handler handler) {
        // Not to the handler's executor, on which asio calls it: an erased one takes no post.
        asio::post(store.get_executor(), asio::append(std::move(handler), error, Result{}));
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

    /// `change(request)`; the interface of a store reports by error code.
    template <class Request, class Change>
    static Request sealed(Request request, error_code& error, Change change) {
        error.clear();
        try {
            change(request);
        } catch (std::exception const&) {
            error = make_error_code(boost::system::errc::not_enough_memory);
        }
        return request;
    }

    static complete_request seal(detail::record_seal const& seal, complete_request request, error_code& error) {
        return sealed(std::move(request), error, [&](complete_request& of) {
            of.record = seal.seal({of.key, of.fingerprint}, of.record, of.retention);
        });
    }

    static step_request seal(detail::record_seal const& seal, step_request request, error_code& error) {
        return sealed(std::move(request), error, [&](step_request& of) {
            of.offset += of.index * detail::record_seal::step_overhead;
            of.step = seal.seal_step({of.key, of.fingerprint}, of.offset, of.step);
        });
    }

    static park_request seal(detail::record_seal const& seal, park_request request, error_code& error) {
        constexpr auto longest = largest_park_reason - detail::record_seal::reason_overhead;
        return sealed(std::move(request), error, [&](park_request& of) {
            of.reason = seal.seal_reason(of.key, of.reason.view().substr(0, longest));
        });
    }

    static settle_request seal(detail::record_seal const& seal, settle_request request, error_code& error) {
        return sealed(std::move(request), error, [&](settle_request& of) {
            if (of.record) of.record = seal.seal_settled(of.key, *of.record, of.retention);
        });
    }

    template <class Result>
    static void open(detail::record_seal const& seal, detail::seal_context const& whose, error_code& error,
                     Result& result) {
        if (error) return;
        try {
            if (auto* const met = std::get_if<completed>(&result)) {
                met->record = seal.open(whose, met->record).value_or(shared_bytes());
            }
            if constexpr (std::is_same_v<Result, claim_result>) error = open_notes(seal, whose, result);
        } catch (std::exception const&) {
            error = make_error_code(boost::system::errc::not_enough_memory);
        }
        if (error) result = Result{};
    }

    /// What a record has that is not completed.
    static error_code open_notes(detail::record_seal const& seal, detail::seal_context const& whose,
                                 claim_result& result) {
        if (auto* const met = std::get_if<parked>(&result)) met->reason = opened_reason(seal, whose.key, met->reason);
        auto* const grant = std::get_if<granted>(&result);
        if (grant == nullptr || grant->steps.empty()) return {};
        auto opened = seal.open_steps(whose, grant->steps.view());
        if (!opened) return error::record_unreadable;
        grant->steps = std::move(opened->steps);
        grant->sealed_steps = opened->sealed;
        return {};
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
