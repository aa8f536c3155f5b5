// SPDX-License-Identifier: MIT
#include "support/message_proxy.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace idempo::tests {

namespace asio = boost::asio;
using boost::system::error_code;

/// Two threads for each connection, which block.
class message_proxy::network {
public:
    explicit network(std::string directory)
        : path_(directory + "/.s.PGSQL.5432"),
          accepting_([this] { accept_all(); }) {}

    void stop() {
        stopped_ = true;
        error_code ignored;
        asio::ip::tcp::socket(context_).connect(listener_.local_endpoint(), ignored);  // wakes the thread
        accepting_.join();
        std::list<relay> all;
        {
            std::lock_guard const lock(mutex_);
            for (auto& each : relays_) each.shut_down();
            all.swap(relays_);
        }
        for (auto& each : all) each.join();
    }

    [[nodiscard]] std::uint16_t port() const { return listener_.local_endpoint().port(); }

    void arm(std::size_t number, message_cut how) {
        std::lock_guard const lock(mutex_);
        left_ = number;
        how_ = how;
        has_cut_ = false;
    }

    /// Counts a message of a client's. Whether, and how, it is to be cut.
    std::optional<message_cut> count(char kind) {
        std::lock_guard const lock(mutex_);
        ++messages_[kind];
        if (!left_) return std::nullopt;
        if ((*left_)-- > 0) return std::nullopt;
        left_.reset();
        has_cut_ = true;
        kind_ = kind;
        if (how_ == message_cut::late) ++under_way_;
        return how_;
    }

    void forget_connections() {
        std::lock_guard const lock(mutex_);
        for (auto& each : relays_) each.is_forgotten = true;
    }

    [[nodiscard]] int messages(char kind) {
        std::lock_guard const lock(mutex_);
        return messages_[kind];
    }

    std::atomic<bool> has_cut_{false};
    std::atomic<char> kind_{0};
    std::atomic<int> under_way_{0};

private:
    struct relay {
        relay(network& of, asio::ip::tcp::socket from) : client(std::move(from)), server(of.context_), owner(of) {}

        void shut_down() {
            error_code ignored;
            client.shutdown(asio::socket_base::shutdown_both, ignored);
            server.shutdown(asio::socket_base::shutdown_both, ignored);
        }
        void join() {
            if (up.joinable()) up.join();
            if (down.joinable()) down.join();
        }

        void carry_replies() {
            std::array<char, 8192> piece{};
            error_code failed;
            while (!failed) {
                auto const size = server.read_some(asio::buffer(piece), failed);
                if (!failed && !is_client_cut && !is_forgotten)
                    asio::write(client, asio::buffer(piece.data(), size), failed);
            }
            error_code ignored;
            if (!is_forgotten) client.shutdown(asio::socket_base::shutdown_both, ignored);
        }

        /// The first message has no kind, all others a byte; both have a length that counts itself.
        void carry_messages() {
            std::string waiting;
            bool is_first = true;
            std::array<char, 8192> piece{};
            error_code failed;
            while (!failed) {
                auto const size = client.read_some(asio::buffer(piece), failed);
                if (failed) break;
                if (is_forgotten) continue;
                waiting.append(piece.data(), size);
                while (!failed) {
                    auto const length = length_of(waiting, is_first);
                    if (length == 0 || waiting.size() < length) break;
                    auto const kind = is_first ? 'S' : waiting.front();
                    is_first = false;
                    if (auto const how = owner.count(kind)) return cut(*how, waiting, length);
                    asio::write(server, asio::buffer(waiting.data(), length), failed);
                    waiting.erase(0, length);
                }
            }
            error_code ignored;
            if (!is_forgotten) server.shutdown(asio::socket_base::shutdown_both, ignored);
        }

        static std::size_t length_of(std::string const& waiting, bool is_first) {
            std::size_t const at = is_first ? 0 : 1;
            if (waiting.size() < at + 4) return 0;
            std::size_t length = 0;
            for (std::size_t byte = 0; byte < 4; ++byte) {
                length = length << 8 | static_cast<unsigned char>(waiting[at + byte]);
            }
            return at + length;
        }

        void cut(message_cut how, std::string const& waiting, std::size_t length) {
            error_code ignored;
            is_client_cut = true;
            if (how == message_cut::after) asio::write(server, asio::buffer(waiting.data(), length), ignored);
            client.shutdown(asio::socket_base::shutdown_both, ignored);
            if (how == message_cut::late) {
                // Long enough for the client to be told of its end and to look for its record.
                constexpr std::chrono::milliseconds later{60};
                std::this_thread::sleep_for(later);
                asio::write(server, asio::buffer(waiting), ignored);
                --owner.under_way_;
            }
            // The server carries out what it has received before it learns of the end.
            server.shutdown(asio::socket_base::shutdown_send, ignored);
        }

        asio::ip::tcp::socket client;
        asio::local::stream_protocol::socket server;
        network& owner;
        std::atomic<bool> is_client_cut{false};
        std::atomic<bool> is_forgotten{false};
        std::thread up;
        std::thread down;
    };

    void accept_all() {
        while (true) {
            asio::ip::tcp::socket client(context_);
            error_code failed;
            listener_.accept(client, failed);
            if (stopped_) return;
            if (failed) continue;
            std::lock_guard const lock(mutex_);
            auto& made = relays_.emplace_back(*this, std::move(client));
            made.server.connect(asio::local::stream_protocol::endpoint(path_), failed);
            if (failed) {
                relays_.pop_back();
                continue;
            }
            made.up = std::thread([&made] { made.carry_messages(); });
            made.down = std::thread([&made] { made.carry_replies(); });
        }
    }

    asio::io_context context_;
    asio::ip::tcp::acceptor listener_{context_, {asio::ip::make_address("127.0.0.1"), 0}};
    std::string path_;
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::list<relay> relays_;
    std::map<char, int> messages_;
    std::optional<std::size_t> left_;
    message_cut how_{};
    std::thread accepting_;
};

message_proxy::message_proxy(postgres_server const& server) : network_(std::make_shared<network>(server.directory())) {}
message_proxy::~message_proxy() { network_->stop(); }

std::string message_proxy::connection() const {
    return "host=127.0.0.1 port=" + std::to_string(network_->port()) +
           " user=idempo dbname=postgres sslmode=disable gssencmode=disable";
}

void message_proxy::cut_at(std::size_t number, message_cut how) { network_->arm(number, how); }
bool message_proxy::has_cut() const { return network_->has_cut_; }
char message_proxy::kind() const { return network_->kind_; }
void message_proxy::forget_connections() { network_->forget_connections(); }
int message_proxy::messages(char kind) const { return network_->messages(kind); }
bool message_proxy::is_quiet() const { return network_->under_way_ == 0; }

}  // namespace idempo::tests
