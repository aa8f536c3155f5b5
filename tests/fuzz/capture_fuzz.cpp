// SPDX-License-Identifier: MIT

// The responses of handlers: one of arbitrary parts, and a message_generator of arbitrary bytes.

#include "fuzz/replay_properties.hpp"

#include <idempo/record/raw_response.hpp>

#include <idempo/record/captured_response.hpp>

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace idempo;
using idempo::fuzz::require;

namespace {

using response = http::response<http::string_body>;

/// The capture policy, and the request that the replay answers.
struct circumstances {
    capture_policy policy;
    unsigned version;
    bool keep_alive;
};

circumstances take_circumstances(FuzzedDataProvider& input) {
    circumstances chosen{};
    chosen.policy.max_body = input.ConsumeBool() ? 16 : std::size_t{1} << 20;
    chosen.policy.store_set_cookie = input.ConsumeBool();
    chosen.version = input.ConsumeBool() ? 10 : 11;
    chosen.keep_alive = input.ConsumeBool();
    return chosen;
}

response take_response(FuzzedDataProvider& input) {
    response taken;
    taken.version(input.ConsumeBool() ? 10 : 11);
    taken.result(input.ConsumeIntegralInRange(0U, 999U));
    if (input.ConsumeBool()) taken.reason(input.ConsumeRandomLengthString(64));
    for (auto count = input.ConsumeIntegralInRange(0, 20); count > 0; --count) {
        auto const name = input.ConsumeRandomLengthString(32);
        taken.insert(name, input.ConsumeRandomLengthString(128));
    }
    bool const is_chunked = input.ConsumeBool();
    bool const is_prepared = input.ConsumeBool();
    taken.body() = input.ConsumeRemainingBytesAsString();
    if (is_chunked) taken.chunked(true);
    try {
        if (is_prepared) taken.prepare_payload();
    } catch (std::invalid_argument const&) {
        // a body where none is allowed; it is sent all the same
    }
    return taken;
}

/// Through a generator: the client gets the same bytes, and the record keeps the properties of any record.
void check_generator(http::message_generator generator, std::string const& sent, circumstances const& chosen) {
    detail::captured_response<http::message_generator> captured(std::move(generator), chosen.policy.max_body);
    auto const record = captured.record(chosen.policy);
    require(fuzz::bytes_of(std::move(captured).release()) == sent, "the client gets the handler's bytes");
    if (!record) return;
    auto const stored = fuzz::check_record(*record, chosen.version, chosen.keep_alive);
    if (stored.status() != 204 && stored.status() != 304) {  // their body is dropped
        auto const read = fuzz::read_one_response(sent);
        require(read.has_value(), "what is stored was one whole response");
        require(read->result_int() == stored.status() && read->body() == stored.body(), "and is what the client got");
    }
    require(stored.body().size() <= chosen.policy.max_body, "no body over the limit is stored");
    require(chosen.policy.store_set_cookie || stored.field("Set-Cookie").empty(), "no cookie is stored unasked");
}

/// The fields of the response that must not be in its record.
void check_dropped(response const& captured, stored_response const& stored, capture_policy const& policy) {
    auto const kept = fuzz::fields_of(stored);
    auto const is_kept = [&kept](std::string_view name) {
        return std::any_of(kept.begin(), kept.end(), [name](auto const& field) { return field.first == name; });
    };
    require(!is_kept("date") && !is_kept("age"), "what is of one moment is not stored");
    require(policy.store_set_cookie || !is_kept("set-cookie"), "no cookie is stored unasked");
    for (auto const& [name, value] : fuzz::fields_of(captured)) {
        // The library reads lists more leniently; a single name is unambiguous.
        if (name != "connection" || value.empty()) continue;
        fuzz::field_list listed;
        fuzz::append(listed, value, {});
        require(!is_kept(listed.front().first), "what Connection names is not stored");
    }
}

/// The same response in memory and through a generator.
void check_response(response const& answered, circumstances const& chosen) {
    if (auto const record = make_record(answered, chosen.policy)) {
        auto const stored = fuzz::check_record(*record, chosen.version, chosen.keep_alive);
        require(stored.status() == answered.result_int(), "the status is stored");
        require(stored.reason() == answered.reason(), "the reason is stored");
        require(stored.body() == answered.body(), "the body is stored");
        check_dropped(answered, stored, chosen.policy);
    }
    auto const sent = fuzz::bytes_of(response(answered));
    check_generator(response(answered), sent, chosen);
}

/// Bytes in two pieces; the second may end with an error.
void check_bytes(FuzzedDataProvider& input, circumstances const& chosen) {
    bool const keep_alive = input.ConsumeBool();
    error_code const failure = input.ConsumeBool() ? http::make_error_code(http::error::partial_message) : error_code();
    auto const first = input.ConsumeRandomLengthString();
    auto const second = input.ConsumeRemainingBytesAsString();
    auto const make = [&] {
        auto const bytes_of = [](std::string const& text) { return std::vector<char>(text.begin(), text.end()); };
        auto rest = detail::make_raw_response({bytes_of(second), std::nullopt, failure}, keep_alive);
        return detail::make_raw_response({bytes_of(first), std::move(rest), {}}, keep_alive);
    };
    check_generator(make(), first + second, chosen);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    FuzzedDataProvider input(data, size);
    auto const chosen = take_circumstances(input);
    if (input.ConsumeBool())
        check_bytes(input, chosen);
    else
        check_response(take_response(input), chosen);
    return 0;
}
