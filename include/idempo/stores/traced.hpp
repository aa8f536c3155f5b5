// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/store_access.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace idempo {

namespace asio = boost::asio;

namespace detail {

/// \name How a trace calls an answer
/// @{
[[nodiscard]] inline std::string_view trace_word(claim_result const& result) noexcept {
    constexpr std::string_view words[] = {"in_flight", "mismatch", "completed", "expired",
                                          "granted",   "parked",   "remembered"};
    return words[result.index()];
}
[[nodiscard]] inline std::string_view trace_word(complete_result const& result) noexcept {
    constexpr std::string_view words[] = {"in_flight", "mismatch", "completed", "done"};
    return words[result.index()];
}
/// @}

/// The calls that one store of a trace gets.
class traced_calls {
public:
    traced_calls(tracer to, std::string store) : to_(std::move(to)), store_(std::move(store)) {}

    trace_number begin(claim_request const& request) const {
        auto fields = request_of(request.fingerprint);
        fields.add("lease", milliseconds_of(request.lease)).add("retention", milliseconds_of(request.retention));
        if (request.remember.count() > 0) fields.add("remember", milliseconds_of(request.remember));
        if (!request.take_over) fields.add("take_over", 0);
        if (request.take_parked) fields.add("take_parked", 1);
        return line("claim", "begun", request.key, request.fencing_token, 0, fields);
    }
    trace_number begin(complete_request const& request) const {
        auto fields = request_of(request.fingerprint);
        fields.add("retention", milliseconds_of(request.retention));
        if (request.remember.count() > 0) fields.add("remember", milliseconds_of(request.remember));
        fields.add("record", trace_checksum(request.record.view()));
        return line("complete", "begun", request.key, request.fencing_token, 0, fields);
    }
    trace_number begin(step_request const& request) const {
        trace_fields fields;
        fields.add("offset", request.offset).add("bytes", request.step.size());
        return line("save_step", "begun", request.key, request.fencing_token, 0, fields);
    }
    trace_number begin(park_request const& request) const {
        auto fields = request_of(request.fingerprint);
        fields.add("retention", milliseconds_of(request.retention));
        if (request.remember.count() > 0) fields.add("remember", milliseconds_of(request.remember));
        return line("park", "begun", request.key, request.fencing_token, 0, fields);
    }
    trace_number begin(settle_request const& request) const {
        trace_fields fields;
        fields.add("retention", milliseconds_of(request.retention));
        if (request.record) fields.add("record", trace_checksum(request.record->view()));
        return line("settle", "begun", request.key, {}, request.attempt, fields);
    }
    trace_number begin_abandon(store_key const& key, fencing_token const& by) const {
        return line("abandon", "begun", key, by, 0, {});
    }
    trace_number begin_renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease) const {
        return line("renew", "begun", key, by, 0, trace_fields().add("lease", milliseconds_of(lease)));
    }
    trace_number begin_forget(store_key const& key) const { return line("forget", "begun", key, {}, 0, {}); }

    void end(claim_request const& request, trace_number call, error_code error, claim_result const& result) const {
        if (error) return failed("claim", request.key, request.fencing_token, call, error);
        auto fields = of(call);
        unsigned attempt = 0;
        if (auto const* grant = std::get_if<granted>(&result)) {
            attempt = grant->attempt;
            fields.add("steps", grant->steps.size());
        }
        if (auto const* ended = std::get_if<expired>(&result)) attempt = ended->attempt;
        if (auto const* waits = std::get_if<parked>(&result)) attempt = waits->attempt;
        if (auto const* stored = std::get_if<completed>(&result)) add_record(fields, *stored);
        line("claim", trace_word(result), request.key, request.fencing_token, attempt, fields);
    }
    void end(complete_request const& request, trace_number call, error_code error,
             complete_result const& result) const {
        if (error) return failed("complete", request.key, request.fencing_token, call, error);
        auto fields = of(call);
        if (auto const* stored = std::get_if<completed>(&result)) add_record(fields, *stored);
        line("complete", trace_word(result), request.key, request.fencing_token, 0, fields);
    }
    void end(step_request const& request, trace_number call, error_code error, bool is_kept) const {
        end("save_step", is_kept ? "kept" : "refused", request.key, request.fencing_token, call, error);
    }
    void end(park_request const& request, trace_number call, error_code error, bool is_parked) const {
        end("park", is_parked ? "parked" : "refused", request.key, request.fencing_token, call, error);
    }
    void end(settle_request const& request, trace_number call, error_code error, bool is_settled) const {
        end("settle", is_settled ? "settled" : "refused", request.key, {}, call, error);
    }
    void end_abandon(store_key const& key, fencing_token const& by, trace_number call, error_code error) const {
        end("abandon", "ok", key, by, call, error);
    }
    void end_renew(store_key const& key, fencing_token const& by, trace_number call, error_code error,
                   bool is_held) const {
        end("renew", is_held ? "held" : "lost", key, by, call, error);
    }
    void end_forget(store_key const& key, trace_number call, error_code error, bool was_there) const {
        end("forget", was_there ? "forgotten" : "nothing", key, {}, call, error);
    }

private:
    static std::uint64_t milliseconds_of(std::chrono::milliseconds duration) {
        return static_cast<std::uint64_t>(std::max<std::chrono::milliseconds::rep>(duration.count(), 0));
    }
    static trace_fields request_of(fingerprint const& fingerprint) {
        constexpr std::size_t shown_bytes = 4;  // the last ones, since the first may say by which rule it was made
        return trace_fields().add("request", to_hex(fingerprint.view().substr(fingerprint.bytes.size() - shown_bytes)));
    }
    static trace_fields of(trace_number call) { return trace_fields().add("call", call); }
    static void add_record(trace_fields& fields, completed const& stored) {
        fields.add("record", trace_checksum(stored.record.view()));
    }

    void end(std::string_view what, std::string_view how, store_key const& key, fencing_token const& by,
             trace_number call, error_code error) const {
        if (error) return failed(what, key, by, call, error);
        line(what, how, key, by, 0, of(call));
    }
    void failed(std::string_view what, store_key const& key, fencing_token const& by, trace_number call,
                error_code error) const {
        auto fields = of(call);
        line(what, error == idempo::error::store_full ? "full" : "error", key, by, 0, fields.add("error", error));
    }
    trace_number line(std::string_view what, std::string_view how, store_key const& key, fencing_token const& by,
                      unsigned attempt, trace_fields const& fields) const {
        return write_trace(
            to_, {.store = store_, .key = &key, .fencing_token = &by, .attempt = attempt, .what = what, .how = how},
            fields);
    }

    tracer to_;
    std::string store_;
};

}  // namespace detail

/// Writes down each call of a store and its answer, for `check-trace` (docs/traces.md). Models `store` or `async_store`
/// where the inner one does, has its Renew, `peek`, `forget` and `list`, keeps steps, parks and remembers used keys
/// where it does. `peek` and `list` are not traced.
///
/// A line is written before a call begins, and one when it has ended, on the threads of the calls; the tracer decides
/// what happens to them there. The store's executor, deadlines, cancellation and errors stay as they are.
///
/// It goes around the store that a process shares with others, and into the adapters: `blocking(traced(redis, trace))`.
/// Beside `sealed` its place does not matter, but it must be the same in all processes, since the trace tells the bytes
/// of one record from those of another. An `any_store` that holds a memory store is called through its executor here.
///
/// A handle: copies share the tracer and the name, and any member may be called from any thread.
template <class Store>
    requires(store<Store> || async_store<Store>)
class traced_store {
public:
    static constexpr bool never_blocks = nonblocking_store<Store>;

    /// \param name of the store in the trace: letters, digits, `.`, `-` and `_`, at most 32. The same for all stores
    ///   that share their records, in all processes. One that begins with `local.` is of this process only.
    /// \throws std::invalid_argument where the name makes no sense
    traced_store(Store store, tracer const& to, std::string_view name)
        : store_(std::move(store)),
          calls_(to, checked(name)) {}

    /// Its name is `shared`, or, of a store that lives in this process, one of its own.
    traced_store(Store store, tracer const& to) : store_(std::move(store)), calls_(to, default_name(store_, to)) {}

    claim_result claim(claim_request const& request, error_code& error)
        requires idempo::store<Store>
    {
        auto const call = calls_.begin(request);
        auto result = store_.claim(request, error);
        calls_.end(request, call, error, result);
        return result;
    }

    complete_result complete(complete_request const& request, error_code& error)
        requires idempo::store<Store>
    {
        auto const call = calls_.begin(request);
        auto result = store_.complete(request, error);
        calls_.end(request, call, error, result);
        return result;
    }

    void abandon(store_key const& key, fencing_token const& by, error_code& error)
        requires idempo::store<Store>
    {
        auto const call = calls_.begin_abandon(key, by);
        store_.abandon(key, by, error);
        calls_.end_abandon(key, by, call, error);
    }

    /// As `blocking_store::start_abandon`; nobody learns of its end.
    void start_abandon(store_key const& key, fencing_token const& by)
        requires requires(Store& inner) { inner.start_abandon(key, by); }
    {
        calls_.begin_abandon(key, by);
        store_.start_abandon(key, by);
    }

    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease, error_code& error)
        requires renewable_store<Store>
    {
        auto const call = calls_.begin_renew(key, by, lease);
        bool const is_held = store_.renew(key, by, lease, error);
        calls_.end_renew(key, by, call, error, is_held);
        return is_held;
    }

    bool save_step(step_request const& step, error_code& error)
        requires checkpointing_store<Store>
    {
        auto const call = calls_.begin(step);
        bool const is_kept = store_.save_step(step, error);
        calls_.end(step, call, error, is_kept);
        return is_kept;
    }

    bool park(park_request const& request, error_code& error)
        requires parking_store<Store>
    {
        auto const call = calls_.begin(request);
        bool const is_parked = store_.park(request, error);
        calls_.end(request, call, error, is_parked);
        return is_parked;
    }

    bool settle(settle_request const& request, error_code& error)
        requires parking_store<Store>
    {
        auto const call = calls_.begin(request);
        bool const is_settled = store_.settle(request, error);
        calls_.end(request, call, error, is_settled);
        return is_settled;
    }

    std::optional<record_info> peek(store_key const& key, error_code& error)
        requires inspectable_store<Store>
    {
        return store_.peek(key, error);
    }

    bool forget(store_key const& key, error_code& error)
        requires inspectable_store<Store>
    {
        auto const call = calls_.begin_forget(key);
        bool const was_there = store_.forget(key, error);
        calls_.end_forget(key, call, error, was_there);
        return was_there;
    }

    record_page list(list_request const& request, error_code& error)
        requires listing_store<Store>
    {
        return store_.list(request, error);
    }

    /// As the store inside.
    [[nodiscard]] bool inspectable() const noexcept { return detail::inspectable(store_); }
    [[nodiscard]] bool lists() const noexcept { return detail::lists(store_); }
    [[nodiscard]] bool keeps_steps() const noexcept { return detail::keeps_steps(store_); }
    [[nodiscard]] bool parks() const noexcept { return detail::parks(store_); }
    [[nodiscard]] bool renewable() const noexcept { return detail::renewable(store_); }
    static constexpr bool remembers_expired = remembering_store<Store>;
    [[nodiscard]] bool remembers() const noexcept { return detail::remembers(store_); }

    /// As `blocking_store::keep_alive`, whose renewals are not traced here: put this layer inside `blocking`.
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

    template <asio::completion_token_for<void(error_code, claim_result)> Token>
        requires async_store<Store>
    auto async_claim(claim_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, claim_result)>(
            [store = store_, calls = calls_](auto handler, claim_request claim) mutable {
                store.async_claim(claim, ending<claim_result>(store, calls, claim, std::move(handler)));
            },
            done, request);
    }

    template <asio::completion_token_for<void(error_code, complete_result)> Token>
        requires async_store<Store>
    auto async_complete(complete_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, complete_result)>(
            [store = store_, calls = calls_](auto handler, complete_request complete) mutable {
                auto ended = ending<complete_result>(store, calls, complete, std::move(handler));
                store.async_complete(std::move(complete), std::move(ended));
            },
            done, std::move(request));
    }

    template <asio::completion_token_for<void(error_code)> Token>
        requires async_store<Store>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return asio::async_initiate<Token, void(error_code)>(
            [store = store_, calls = calls_](auto handler, store_key of, idempo::fencing_token from) mutable {
                auto const call = calls.begin_abandon(of, from);
                auto const executor = asio::get_associated_executor(handler, store.get_executor());
                store.async_abandon(of, from,
                                    asio::bind_executor(executor, [calls, of, from, call, handler = std::move(handler)](
                                                                      error_code error) mutable {
                                        calls.end_abandon(of, from, call, error);
                                        std::move(handler)(error);
                                    }));
            },
            done, key, by);
    }

    /// \pre `renewable()`
    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_renewable_store<Store>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [store = store_, calls = calls_](auto handler, store_key of, idempo::fencing_token from,
                                             std::chrono::milliseconds length) mutable {
                auto const call = calls.begin_renew(of, from, length);
                auto const executor = asio::get_associated_executor(handler, store.get_executor());
                store.async_renew(of, from, length,
                                  asio::bind_executor(executor, [calls, of, from, call, handler = std::move(handler)](
                                                                    error_code error, bool is_held) mutable {
                                      calls.end_renew(of, from, call, error, is_held);
                                      std::move(handler)(error, is_held);
                                  }));
            },
            done, key, by, lease);
    }

    /// \pre `keeps_steps()`
    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_checkpointing_store<Store>
    auto async_save_step(step_request step, Token&& done) {
        return send(std::move(step), std::forward<Token>(done), [](Store& store, step_request saved, auto handler) {
            store.async_save_step(std::move(saved), std::move(handler));
        });
    }

    /// \pre `parks()`, here and below
    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_parking_store<Store>
    auto async_park(park_request request, Token&& done) {
        return send(std::move(request), std::forward<Token>(done), [](Store& store, park_request park, auto handler) {
            store.async_park(std::move(park), std::move(handler));
        });
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_parking_store<Store>
    auto async_settle(settle_request request, Token&& done) {
        return send(std::move(request), std::forward<Token>(done),
                    [](Store& store, settle_request settle, auto handler) {
                        store.async_settle(std::move(settle), std::move(handler));
                    });
    }

    /// \pre `inspectable()`, here and below
    template <asio::completion_token_for<void(error_code, std::optional<record_info>)> Token>
        requires async_inspectable_store<Store>
    auto async_peek(store_key key, Token&& done) {
        return store_.async_peek(key, std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
        requires async_inspectable_store<Store>
    auto async_forget(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [store = store_, calls = calls_](auto handler, store_key of) mutable {
                auto const call = calls.begin_forget(of);
                auto const executor = asio::get_associated_executor(handler, store.get_executor());
                store.async_forget(of, asio::bind_executor(executor, [calls, of, call, handler = std::move(handler)](
                                                                         error_code error, bool was_there) mutable {
                                       calls.end_forget(of, call, error, was_there);
                                       std::move(handler)(error, was_there);
                                   }));
            },
            done, key);
    }

    template <asio::completion_token_for<void(error_code, record_page)> Token>
        requires async_listing_store<Store>
    auto async_list(list_request request, Token&& done) {
        return store_.async_list(std::move(request), std::forward<Token>(done));
    }

private:
    static std::string checked(std::string_view name) {
        constexpr std::size_t longest = 32;
        bool const is_word = std::all_of(name.begin(), name.end(), [](unsigned char letter) {
            return std::isalnum(letter) != 0 || letter == '.' || letter == '-' || letter == '_';
        });
        if (name.empty() || name.size() > longest || !is_word || name == "-") {
            throw std::invalid_argument("traced: a name has up to 32 letters, digits, '.', '-' and '_'");
        }
        return std::string(name);
    }

    static std::string default_name(Store& store, tracer const& to) {
        return detail::direct_access(store) != nullptr ? detail::local_store_name(to) : "shared";
    }

    /// Begins the line of the call; the returned handler ends it, on the executor of `handler`.
    template <class Result, class Request, class Handler>
    static auto ending(Store const& store, detail::traced_calls const& calls, Request const& request, Handler handler) {
        auto const executor = asio::get_associated_executor(handler, store.get_executor());
        auto const call = calls.begin(request);
        return asio::bind_executor(
            executor, [calls, request, call, handler = std::move(handler)](error_code error, Result result) mutable {
                calls.end(request, call, error, result);
                std::move(handler)(error, std::move(result));
            });
    }

    /// `call(store, request, handler)`, with its lines.
    template <class Request, class Token, class Call>
    auto send(Request request, Token&& done, Call call) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [store = store_, calls = calls_, call](auto handler, Request asked) mutable {
                auto ended = ending<bool>(store, calls, asked, std::move(handler));
                call(store, std::move(asked), std::move(ended));
            },
            done, std::move(request));
    }

    Store store_;
    detail::traced_calls calls_;
};

/// `traced(store, trace)`, or `traced(store, trace, "name")`; see `traced_store`.
template <class Store>
    requires(store<Store> || async_store<Store>)
[[nodiscard]] traced_store<Store> traced(Store store, tracer const& to) {
    return traced_store<Store>(std::move(store), to);
}

template <class Store>
    requires(store<Store> || async_store<Store>)
[[nodiscard]] traced_store<Store> traced(Store store, tracer const& to, std::string_view name) {
    return traced_store<Store>(std::move(store), to, name);
}

}  // namespace idempo
