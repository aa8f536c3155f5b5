// SPDX-License-Identifier: MIT

// The bytes of a connection, cut anywhere: read_request reads them, and each request goes twice through the
// middleware.

#include "fuzz/replay_properties.hpp"

#include <idempo/http/head_checks.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace idempo;
using idempo::fuzz::require;

namespace {

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// Returns its bytes in pieces of at most so many.
class piecewise_stream {
public:
    piecewise_stream(std::string_view bytes, std::size_t piece) : rest_(bytes), piece_(piece) {}

    [[nodiscard]] std::string_view rest() const { return rest_; }

    template <class Buffers>
    std::size_t read_some(Buffers const& buffers, error_code& ec) {
        ec = rest_.empty() ? asio::error::make_error_code(asio::error::eof) : error_code();
        auto const taken = asio::buffer_copy(buffers, asio::buffer(rest_.substr(0, piece_)));
        rest_.remove_prefix(taken);
        return taken;
    }

    template <class Buffers>
    std::size_t read_some(Buffers const& buffers) {
        error_code ec;
        auto const taken = read_some(buffers, ec);
        if (ec) throw boost::system::system_error(ec);
        return taken;
    }

private:
    std::string_view rest_;
    std::size_t piece_;
};

/// The requests of a connection, until it ended or failed.
struct conversation {
    std::vector<request> requests;
    /// Where the bytes of each end, counted from the first byte of all.
    std::vector<std::size_t> ends;
    error_code ended;
};

conversation read_all(std::string_view bytes, std::size_t piece) {
    piecewise_stream stream(bytes, piece);
    boost::beast::flat_buffer buffer;
    conversation read;
    for (;;) {
        http::request_parser<http::string_body> parser;
        read_request(stream, buffer, parser, read.ended);
        if (read.ended) return read;
        read.requests.push_back(parser.release());
        read.ends.push_back(bytes.size() - stream.rest().size() - buffer.size());
    }
}

/// The fields of the head alone, by a parser that stops there.
fuzz::field_list head_fields(std::string_view bytes) {
    http::request_parser<http::empty_body> parser;
    parser.body_limit(boost::none);
    error_code ec;
    while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);  // empty lines before a request are skipped
    auto unread = asio::buffer(bytes);
    while (!ec && !parser.is_header_done() && unread.size() != 0) unread += parser.put(unread, ec);
    require(parser.is_header_done(), "a request that was read has a head");
    require(!detail::normalise_target(parser.get().base()), "a request that was read has a valid target");
    return fuzz::fields_of(parser.get());
}

void check_reading(std::string_view bytes, conversation const& whole, conversation const& cut) {
    require(whole.requests.size() == cut.requests.size() && whole.ends == cut.ends,
            "where requests end does not depend on how they arrive");
    std::size_t begin = 0;
    for (std::size_t i = 0; i < whole.requests.size(); ++i) {
        auto const& first = whole.requests[i];
        auto const& second = cut.requests[i];
        require(first.method_string() == second.method_string() && first.target() == second.target() &&
                    first.version() == second.version() && first.body() == second.body(),
                "nor does what they say");
        auto const fields = fuzz::fields_of(first);
        require(fields == fuzz::fields_of(second), "nor do their fields");
        require(fields == head_fields(bytes.substr(begin)), "the fields are those of the head");
        begin = whole.ends[i];
    }
}

/// The same request twice, on a store of its own.
void check_retry(request const& asked) {
    unsigned executions = 0;
    auto const echo = [&executions](request const& req) {
        ++executions;
        response answer{http::status::created, req.version()};
        for (auto const& line : req) answer.insert(line.name_string(), line.value());
        answer.erase(http::field::content_length);
        answer.erase(http::field::transfer_encoding);
        answer.body() = req.body();
        answer.keep_alive(req.keep_alive());
        answer.prepare_payload();
        return answer;
    };
    auto const handle = idempotency(memory_store({.shards = 1})) | echo;
    auto const first = handle(asked);
    unsigned const ran = executions;
    auto const again = handle(asked);

    bool const is_covered = options().methods.contains(asked.method()) && asked.count("Idempotency-Key") != 0;
    if (!is_covered) {
        require(ran == 1 && executions == 2, "what has no key is none of our business");
        return;
    }
    require(executions == ran && ran <= 1, "a request with a key runs once");
    auto const sent = fuzz::read_one_response(fuzz::bytes_of(response(again)));
    require(sent.has_value(), "the answer to a retry is one response");
    if (ran == 0) {
        require(first.result() == http::status::bad_request && again.result() == http::status::bad_request,
                "only a malformed key is refused");
        return;
    }
    require((*sent)["Idempotency-Replayed"] == "true", "a retry gets a replay");
    require(sent->result() == first.result() && sent->body() == first.body(), "the replay is the first answer");
    require(sent->keep_alive() == asked.keep_alive(), "a replay obeys the connection that it answers");
    for (auto const& [name, value] : fuzz::fields_of(*sent)) {
        require(name == "connection" || name == "content-length" || !fuzz::belongs_to_connection(name),
                "a replay carries no hop-by-hop field");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    std::size_t const piece = 1 + data[0] % 16U;
    std::string_view const bytes(reinterpret_cast<char const*>(data) + 1, size - 1);
    auto const whole = read_all(bytes, bytes.size() + 1);
    check_reading(bytes, whole, read_all(bytes, piece));
    for (auto const& asked : whole.requests) check_retry(asked);
    return 0;
}
