// SPDX-License-Identifier: MIT

// The bytes from a server on a connection of the Redis store: replies of Redis cut at random, forged ones, and
// noise.

#include "fuzz/require.hpp"

#include <idempo/redis/connection/pipeline.hpp>
#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/record.hpp>
#include <idempo/redis/operations/take_operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>
#include <idempo/redis/protocol/slot_map.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

using namespace std::chrono_literals;
using namespace idempo::redis;
using idempo::fuzz::require;

namespace {

void write_down(reply_view found, std::string& to) {
    if (found.is_array()) {
        to += '[';
        for (std::size_t i = 0; i < found.size(); ++i) write_down(found[i], to);
        to += ']';
        return;
    }
    to += found.is_nil() ? 'n' : found.is_error() ? 'e' : found.is_integer() ? 'i' : found.is_string() ? 's' : '+';
    to += found.text();
    to += std::to_string(found.integer());
}

/// All replies in the bytes, and whether the rest is malformed.
class transcript {
public:
    void feed(std::string_view bytes) {
        reader_.feed(bytes);
        while (auto const found = reader_.next()) write_down(reply_view(found.get()), text_);
    }
    [[nodiscard]] std::string text() const { return text_ + (reader_.is_broken() ? '!' : '.'); }

private:
    reply_reader reader_;
    std::string text_;
};

/// The replies do not depend on the cuts.
void check_cuts(std::string const& bytes, std::size_t piece) {
    transcript whole;
    whole.feed(bytes);
    transcript cut;
    for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
        cut.feed(rest.substr(0, piece));
    require(whole.text() == cut.text(), "replies do not depend on how they arrive");
}

/// A node's answer about slots gives a map or none; each slot of the map has one of its primaries.
void check_map(std::string_view bytes) {
    reply_reader reader(slot_map::max_array_elements);
    reader.feed(bytes);
    auto const found = reader.next();
    auto const map = slot_map::read(reply_view(found.get()), {});
    if (!map) return;
    std::size_t covered = 0;
    for (std::size_t slot = 0; slot < slot_count; ++slot) {
        auto const primary = map->primary_of(static_cast<std::uint16_t>(slot));
        require(!primary || *primary < map->primaries().size(), "a slot's primary is in the map");
        covered += primary ? 1 : 0;
    }
    require(covered == map->covered(), "the slots with a primary are counted");
}

template <class Identifier>
Identifier filled(unsigned char byte) {
    Identifier made;
    made.bytes.fill(byte);
    return made;
}

/// The rate limiter's reading of a script's answer is within the rate, and equals the answer.
void check_take(reply_view answer) {
    constexpr idempo::rate rate{.limit = 10, .window = 60s};
    auto const found = read_take(answer, rate);
    if (!found || !found->result) return;
    auto const& decision = *found->result;
    require(decision.reset > 0s && decision.reset <= rate.window, "a window ends, and is no longer than it may be");
    require(decision.reset.count() == answer[3].integer(), "the end of a window is what was written");
    if (decision.allowed) {
        require(answer[2].integer() + decision.remaining == rate.limit, "what is left is what was not taken");
        require(decision.remaining < rate.limit, "a request that is let through has taken something");
    } else {
        require(decision.remaining == 0, "nothing is left to one that is refused");
    }
}

void check_takes(std::string_view bytes) {
    reply_reader reader;
    reader.feed(bytes);
    while (auto const found = reader.next()) check_take(reply_view(found.get()));
}

/// A connection's pipeline with calls of every kind. Keys and tokens are letters, so that the fuzzer can write them.
class scene {
    inline static auto const ours = filled<idempo::fencing_token>('T');
    inline static auto const fingerprint = filled<idempo::fingerprint>('F');
    inline static auto const record = idempo::shared_bytes(std::string_view("record"));

    /// A handler. A script's answer is accepted only if it repeats the caller's secret token.
    template <class Result, class Secret>
    auto told_with(Secret const& secret) {
        auto const tell = [this, secret](idempo::error_code ec) {
            ++told_;
            bool const is_repeated = received_.find(secret.view()) != std::string_view::npos;
            require(ec || abilities_.set_nx_get || is_repeated, "no answer is taken for another's");
        };
        if constexpr (std::is_void_v<Result>) {
            return tell;
        } else {
            return [tell](idempo::error_code ec, Result const&) { tell(ec); };
        }
    }

public:
    /// \param received all bytes from the server
    scene(unsigned replicas, server_abilities abilities, std::string_view received)
        : abilities_(abilities),
          received_(received),
          line_(1s, load_, {replicas, 100ms}) {
        claim('a');
        add<complete_operation>(told_with<idempo::complete_result>(ours),
                                idempo::complete_request{key_of('b'), fingerprint, ours, record, 60s});
        add<renew_operation>(told_with<bool>(ours), key_of('c'), ours, 30s);
        add<abandon_operation>(told_with<void>(ours), key_of('d'), ours);
        add<peek_operation>(told_with<std::optional<idempo::record_info>>(key_of('e')), key_of('e'));
        add<forget_operation>([this](idempo::error_code, bool) { ++told_; }, key_of('f'));
        claim('a');  // finds the key busy
        add<take_operation>(
            [this](idempo::error_code ec, idempo::rate_decision) {
                ++told_;
                require(ec.failed(), "no answer is taken for one to a call whose token nobody knows");
            },
            key_of('g'), idempo::rate{});
    }

    /// Reads in pieces as a connection does, and sends what the pipeline wants to send next.
    void converse(std::size_t piece) {
        reply_reader reader;
        std::string sent;
        line_.send(sent, abilities_, {});
        for (auto rest = received_; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
            reader.feed(rest.substr(0, piece));
            while (auto const found = reader.next())
                if (!line_.receive(reply_view(found.get()), {})) return;
            if (reader.is_broken()) return;
            line_.send(sent, abilities_, {});
        }
    }

    void end() {
        for (auto const& each : line_.take_redirected()) each.redirected->fail(idempo::error::store_unavailable);
        line_.fail_all(make_error_code(idempo::error::store_unavailable));
        context_.poll();
        require(told_ == submitted_, "each caller is told once");
        require(load_.operations == 0 && load_.bytes == 0, "each place is given back");
    }

private:
    static idempo::store_key key_of(unsigned char letter) { return filled<idempo::store_key>(letter); }

    void claim(unsigned char key) {
        add<claim_operation>(told_with<idempo::claim_result>(ours),
                             idempo::claim_request{key_of(key), fingerprint, ours, 30s, 60s});
    }

    template <class Operation, class Handler, class Request>
    void add(Handler done, Request request) {
        submit(std::make_unique<Operation>(std::move(request), "p", context_.get_executor(), std::move(done)));
    }

    template <class Operation, class Handler, class... By>
    void add(Handler done, idempo::store_key const& key, By... by) {
        submit(std::make_unique<Operation>(key, by..., "p", context_.get_executor(), std::move(done)));
    }

    void submit(std::unique_ptr<operation> submitted) {
        ++load_.operations;
        load_.bytes += submitted->weight();
        ++submitted_;
        line_.submit(std::move(submitted), {});
    }

    server_abilities abilities_;
    std::string_view received_;
    boost::asio::io_context context_;
    pending_load load_;
    pipeline line_;
    unsigned submitted_ = 0;
    unsigned told_ = 0;
};

/// Arbitrary bytes are a record or not; a record is written as it was read.
void check_header(std::string_view value) {
    auto const found = read_header(value, value.size());
    if (!found) return;
    require(value.size() >= header_size && value.starts_with("idr\1"), "only our own values are read");
    require(value.substr(8, 16) == found->fencing_token.view(), "the token is what was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    unsigned const choice = data[0];
    std::size_t const piece = 1 + choice / 4U % 32U;
    std::string const bytes(reinterpret_cast<char const*>(data) + 1, size - 1);
    check_cuts(bytes, piece);
    check_header(bytes);
    check_map(bytes);
    check_takes(bytes);
    scene calls((choice & 1U) != 0 ? 1 : 0, {.set_nx_get = (choice & 2U) != 0}, bytes);
    calls.converse(piece);
    calls.end();
    return 0;
}
