// SPDX-License-Identifier: MIT
#include "common/responses.hpp"
#include "common/sync_session.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

/// \file
/// A fake payment provider, as unreliable as one may be. It never repeats what it has done under a key, unless it is
/// told to know no keys (`--keyless`). Told so (`--no-look-up`), it does not say what it has done.
///
///     POST /OPERATION      the body is the order; has the effect once for each Idempotency-Key
///     GET /OPERATION/ORDER the receipt of the last effect, or 404
///     GET /effects         a line for each operation of each order: how often, operation, order

namespace {

/// What goes wrong in a call.
enum class fault { none, refuses, fails_after, hangs_up_before, hangs_up_after, answers_late };
constexpr int faults = 6;

class provider {
public:
    provider(bool is_keyless, bool tells_nothing, int fault_percentage, unsigned seed)
        : is_keyless_(is_keyless),
          tells_nothing_(tells_nothing),
          fault_percentage_(fault_percentage),
          random_(seed) {}

    http_response operator()(http_request request) {
        std::string target(request.target().substr(1));
        if (request.method() == http::verb::get) return look_up(target, request);
        auto const what = next_fault();
        if (what == fault::refuses) return problem_response(503, "try again", request.version(), request.keep_alive());
        if (what == fault::hangs_up_before) throw std::runtime_error("hung up before the effect");
        auto const receipt = act(target, request.body(), request["Idempotency-Key"]);
        if (what == fault::fails_after) return problem_response(500, "failed", request.version(), request.keep_alive());
        if (what == fault::hangs_up_after) throw std::runtime_error("hung up after the effect");
        // Longer than its clients wait.
        if (what == fault::answers_late) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        return text(receipt, request);
    }

private:
    fault next_fault() {
        std::lock_guard const lock(mutex_);
        if (std::uniform_int_distribution<>(0, 99)(random_) >= fault_percentage_) return fault::none;
        return static_cast<fault>(std::uniform_int_distribution<>(1, faults - 1)(random_));
    }

    std::string act(std::string const& operation, std::string const& order, std::string_view key) {
        std::lock_guard const lock(mutex_);
        if (!is_keyless_) {
            auto const known = receipts_.find(key);
            if (known != receipts_.end()) return known->second;
        }
        ++effects_[operation + " " + order];
        auto receipt = operation + "-" + std::to_string(++last_receipt_);
        last_[operation + "/" + order] = receipt;
        if (!is_keyless_) receipts_.emplace(key, receipt);
        return receipt;
    }

    http_response look_up(std::string const& target, http_request const& request) {
        std::lock_guard const lock(mutex_);
        if (target == "effects") {
            std::string lines;
            for (auto const& [effect, count] : effects_) lines += std::to_string(count) + " " + effect + "\n";
            return text(lines, request);
        }
        if (tells_nothing_) return problem_response(501, "no look-ups", request.version(), request.keep_alive());
        auto const found = last_.find(target);
        if (found != last_.end()) return text(found->second, request);
        return problem_response(404, "unheard of", request.version(), request.keep_alive());
    }

    static http_response text(std::string body, http_request const& request) {
        http_response response(http::status::ok, request.version());
        response.keep_alive(request.keep_alive());
        response.set(http::field::content_type, "text/plain");
        response.body() = std::move(body);
        response.prepare_payload();
        return response;
    }

    bool is_keyless_;
    bool tells_nothing_;
    int fault_percentage_;
    std::mutex mutex_;
    std::mt19937 random_;
    std::map<std::string, std::string, std::less<>> receipts_;
    std::map<std::string, std::string> last_;
    std::map<std::string, int> effects_;
    int last_receipt_ = 0;
};

}  // namespace

int main(int argument_count, char** arguments) {
    CLI::App flags("A fake payment provider");
    std::uint16_t port = 8090;
    bool is_keyless = false;
    bool tells_nothing = false;
    int fault_percentage = 0;
    unsigned seed = 1;
    flags.add_option("--port", port, "0: any free one");
    flags.add_flag("--keyless", is_keyless, "Repeat what comes twice");
    flags.add_flag("--no-look-up", tells_nothing, "Tell nobody what has been done");
    flags.add_option("--faults", fault_percentage, "Of a hundred calls")->check(CLI::Range(0, 100));
    flags.add_option("--seed", seed, "Of the faults");
    CLI11_PARSE(flags, argument_count, arguments);

    provider payments(is_keyless, tells_nothing, fault_percentage, seed);
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), port});
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    serve_forever(acceptor, [&payments](http_request request) { return payments(std::move(request)); });
}
