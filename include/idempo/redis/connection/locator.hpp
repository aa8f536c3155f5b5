#pragma once

#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/redirection.hpp>

#include <idempo/redis/options.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace idempo::redis {

/// Tells a connection which server to use, and hears about failures. Every call is made on the strand of the
/// connection; several connections may share one locator.
class locator {
public:
    /// A problem, or where the server is.
    using on_located = std::function<void(redis_problem, redis_endpoint const&)>;

    locator() = default;
    locator(locator const&) = delete;
    locator& operator=(locator const&) = delete;
    virtual ~locator() = default;

    /// Where to connect to now: asked before each attempt. `done` is called once, on `executor`, at once or later. It
    /// must be called within `connect_timeout`; a later answer is ignored.
    virtual void locate(strand const& executor, on_located done) = 0;

    /// The server may be gone or the wrong one: an attempt has failed, a connection was lost, an operation has timed
    /// out, or the server says that its cluster is down.
    virtual void doubt(redis_endpoint const&) {}

    /// The server says that another one has the key.
    virtual void redirect(std::unique_ptr<operation> misdirected, redirection const&) {
        misdirected->fail(error::store_unavailable);
    }
};

/// For a server that is always at the same place.
class fixed_locator final : public locator {
public:
    explicit fixed_locator(redis_endpoint endpoint) : endpoint_(std::move(endpoint)) {}

    void locate(strand const&, on_located done) override { done(redis_problem::none, endpoint_); }

private:
    redis_endpoint endpoint_;
};

}  // namespace idempo::redis
