// SPDX-License-Identifier: MIT
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
/// connection; several connections may share one resolver.
class server_resolver {
public:
    /// A problem, or where the server is.
    using on_resolved = std::function<void(redis_problem, redis_endpoint const&)>;

    server_resolver() = default;
    server_resolver(server_resolver const&) = delete;
    server_resolver& operator=(server_resolver const&) = delete;
    virtual ~server_resolver() = default;

    /// Where to connect to now: asked before each attempt. `done` is called once, on `executor`, at once or later. It
    /// must be called within `connect_timeout`; a later answer is ignored.
    virtual void resolve(strand const& executor, on_resolved done) = 0;

    /// The server may be gone or the wrong one: an attempt has failed, a connection was lost, an operation has timed
    /// out, or the server says that its cluster is down.
    virtual void report_failure(redis_endpoint const&) {}

    /// The server says that another one has the key.
    virtual void redirect(std::unique_ptr<operation> redirected, redirection const&) {
        redirected->fail(error::store_unavailable);
    }
};

/// For a server that is always at the same place.
class fixed_resolver final : public server_resolver {
public:
    explicit fixed_resolver(redis_endpoint endpoint) : endpoint_(std::move(endpoint)) {}

    void resolve(strand const&, on_resolved done) override { done(redis_problem::none, endpoint_); }

private:
    redis_endpoint endpoint_;
};

}  // namespace idempo::redis
