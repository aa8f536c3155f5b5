// SPDX-License-Identifier: MIT
#include <idempo/detail/traceparent.hpp>

#include "support/catch.hpp"

#include <string>

namespace {

using idempo::detail::traceparent;

constexpr std::string_view sample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

std::string with(std::size_t at, std::string_view replacement) {
    std::string changed(sample);
    return changed.replace(at, replacement.size(), replacement);
}

}  // namespace

TEST_CASE("traceparent: what W3C Trace Context allows is kept as it is") {
    CHECK(traceparent::parse(sample).view() == sample);
    CHECK(traceparent::parse(with(53, "fe")).view() == with(53, "fe"));  // flags that nobody knows yet
    CHECK(traceparent::parse(with(0, "cc")).view() == with(0, "cc"));
    CHECK(idempo::detail::trace_id(sample) == "4bf92f3577b34da6a3ce929d0e0e4736");
    CHECK(idempo::detail::trace_id({}).empty());
}

TEST_CASE("traceparent: of a later version, what version 00 defines is kept") {
    auto const later = with(0, "01");
    CHECK(traceparent::parse(later + "-what-the-future-brings").view() == later);
    CHECK(traceparent::parse(later + "-").view() == later);
    CHECK(traceparent::parse(later + ".what").view().empty());
    CHECK(traceparent::parse(std::string(sample) + "-more").view().empty());
}

TEST_CASE("traceparent: anything else is as good as none") {
    auto const value = GENERATE(
        std::string(), std::string("00"), std::string(sample.substr(0, 54)), std::string(sample) + " ", with(0, "ff"),
        with(0, "0g"), with(3, "4BF9"), with(2, "_"), with(35, "_"), with(52, "_"), with(54, "-"), with(36, " "),
        with(3, "00000000000000000000000000000000"), with(36, "0000000000000000"), std::string(55, '-'),
        std::string(55, '0'), std::string(100'000, '0'), with(53, std::string_view("\0\0", 2)));
    CHECK(traceparent::parse(value).view().empty());
    CHECK_FALSE(traceparent::is_valid(value));
}
