// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <future>
#include <memory>
#include <utility>

namespace idempo::tests {

/// The error and the result of an operation that has been started.
template <class Result>
using pending_answer = std::future<std::pair<error_code, Result>>;

/// Starts an operation: `start` is called with a completion handler.
template <class Result, class Start>
pending_answer<Result> begin(Start start) {
    auto promise = std::make_shared<std::promise<std::pair<error_code, Result>>>();
    auto future = promise->get_future();
    start([promise](error_code error, Result result) { promise->set_value({error, std::move(result)}); });
    return future;
}

template <class Store>
pending_answer<claim_result> begin_claim(Store& store, claim_request const& request) {
    return begin<claim_result>([&](auto done) { store.async_claim(request, std::move(done)); });
}

template <class Store>
pending_answer<complete_result> begin_complete(Store& store, complete_request const& request) {
    return begin<complete_result>([&](auto done) { store.async_complete(request, std::move(done)); });
}

template <class Store>
pending_answer<bool> begin_renew(Store& store, claim_request const& claim) {
    return begin<bool>(
        [&](auto done) { store.async_renew(claim.key, claim.fencing_token, claim.lease, std::move(done)); });
}

}  // namespace idempo::tests
