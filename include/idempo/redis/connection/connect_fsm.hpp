// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/address_book.hpp>

#include <idempo/error.hpp>

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::redis {

/// Finds the addresses of a host and connects to the first that answers, in the spirit of RFC 8305: each address has
/// its share of the time, and so have what follows, TLS and the handshake with the server. None of them uses up the
/// time of the others. It does no I/O and reads no clock: each event brings its time, and what has to be done is taken
/// as actions. Not thread-safe.
///
/// Attempts are numbered. An event of an attempt that is over changes nothing.
class connect_fsm {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// \name Actions
    /// @{
    /// Find the host's addresses, then `on_found`: when `patience` is over at the latest, with what is known.
    struct look_up {
        std::chrono::milliseconds patience;
    };
    /// Connect, then `on_result` with the number.
    struct dial {
        unsigned attempt = 0;
        asio::ip::address address;
    };
    /// Close what the last `dial` has opened.
    struct hang_up {};
    /// Of several addresses of the host, this one comes last next time.
    struct report_failure {
        asio::ip::address address;
    };
    struct report_success {
        asio::ip::address address;
    };
    /// The last of all. Without an error, what was dialled last is connected.
    struct finish {
        error_code error;
    };
    using action = std::variant<look_up, dial, hang_up, report_failure, report_success, finish>;
    /// @}

    /// \param timeout for all of it
    connect_fsm(std::string host, std::chrono::milliseconds timeout) : host_(std::move(host)), timeout_(timeout) {}

    [[nodiscard]] std::string const& host() const noexcept { return host_; }
    /// The address that was dialled last.
    [[nodiscard]] std::optional<asio::ip::address> const& dialled() const noexcept { return dialled_; }

    /// \name Events
    /// @{
    void start(time_point now);
    /// \param error says why nothing is known, where nothing is
    void on_found(ip_addresses const& found, error_code error, time_point now);
    void on_result(unsigned attempt, error_code error, time_point now);
    /// To be called at `next_time` at the latest; any time earlier does no harm.
    void on_time(time_point now);
    /// Nothing happens any more, and nobody is told.
    void cancel();
    /// @}

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

    /// When `on_time` has something to do.
    [[nodiscard]] std::optional<time_point> next_time() const noexcept { return due_; }

private:
    enum class state { starting, looking_up, dialling, over };

    void dial_next(error_code last_error, time_point now);
    void fail(error_code error, time_point now);
    void end_with(error_code error);
    void act(action wanted) { actions_.push_back(std::move(wanted)); }

    std::string host_;
    std::chrono::milliseconds timeout_;
    state state_ = state::starting;
    time_point ends_{};
    ip_addresses left_;
    std::optional<asio::ip::address> dialled_;
    unsigned attempt_ = 0;
    std::optional<time_point> due_;
    std::vector<action> actions_;
};

}  // namespace idempo::redis
