// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/handler.hpp>
#include <idempo/options.hpp>
#include <idempo/testing/effect_probe.hpp>
#include <idempo/testing/simulated_process.hpp>

#include <boost/beast/http/message.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

/// \file
/// The tools of a handler's check.

namespace idempo::testing {

/// What all checks of a handler have in common.
template <class Make, request Request>
struct handler_subject {
    Make make;
    Request request;
    idempo::options options;
    /// How long a handler may take to answer, in real time.
    std::chrono::milliseconds patience;
};

/// One check's store, clock and effects, and its servers.
template <class Make, request Request>
class handler_trial {
public:
    using process = simulated_process<Make, Request>;

    explicit handler_trial(handler_subject<Make, Request> const& subject) : subject_(subject) {}

    [[nodiscard]] handler_world const& world() const noexcept { return world_; }
    [[nodiscard]] std::size_t made() const noexcept { return world_.effects->made(); }
    [[nodiscard]] std::size_t runs() const noexcept { return *world_.runs; }
    [[nodiscard]] idempo::options const& options() const noexcept { return subject_.options; }

    /// The request under a key.
    [[nodiscard]] Request request(std::string_view key = "handler-check-1") const {
        auto made = subject_.request;
        made.set(subject_.options.header, '"' + std::string(key) + '"');
        return made;
    }

    [[nodiscard]] process_answer send(process& to, std::string_view key = "handler-check-1") const {
        return to.send(request(key), subject_.patience);
    }

    /// Sends the request to a server that has just been started.
    [[nodiscard]] process_answer send_anew(effect_interruption interruption = {},
                                           std::function<void(execution&)> starts = {}) const {
        process fresh(subject_.make, world_, subject_.options, std::move(interruption), std::move(starts));
        return send(fresh);
    }
    [[nodiscard]] process_answer send_anew(idempo::options const& options, std::string_view key) const {
        process fresh(subject_.make, world_, options);
        return send(fresh, key);
    }

    void end_lease() const { world_.advance(subject_.options.lease + std::chrono::seconds(1)); }

    /// Retries as a stubborn client does, and once more: the last answer. The lease ends meanwhile.
    [[nodiscard]] process_answer retry() const {
        auto answer = send_anew();
        if (!answer.is_success()) {
            end_lease();
            answer = send_anew();
        }
        auto again = send_anew();
        return again.is_success() ? again : answer;
    }

private:
    handler_subject<Make, Request> const& subject_;
    handler_world world_;
};

}  // namespace idempo::testing
