// SPDX-License-Identifier: MIT
#include <idempo/detail/media_type.hpp>
#include <idempo/detail/multipart.hpp>

#include "support/catch.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

using idempo::detail::find_boundary;
using idempo::detail::multipart_part;
using idempo::detail::multipart_reader;

namespace {

struct read_result {
    std::string preamble;
    std::vector<std::pair<std::string, std::string>> parts;
    std::string epilogue;

    friend bool operator==(read_result const&, read_result const&) = default;
};

std::optional<read_result> read(std::string_view body, std::string_view boundary) {
    multipart_reader reader(body, boundary);
    read_result result;
    while (true) {
        multipart_part part;
        auto const found = reader.next(part);
        if (found == multipart_reader::found::malformed) return std::nullopt;
        if (found == multipart_reader::found::end) break;
        result.parts.emplace_back(part.fields, part.content);
    }
    result.preamble = reader.preamble();
    result.epilogue = reader.epilogue();
    return result;
}

}  // namespace

TEST_CASE("multipart: the parts are read in order, with preamble and epilogue", "[multipart]") {
    auto const found = read(
        "pre\r\n--B\r\nA: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n--B \t\r\n\r\nthree\r\n--B\r\nC: 3\r\n\r\n\r\n--B--\r\nafter",
        "B");
    REQUIRE(found);
    CHECK(*found == read_result{"pre\r\n", {{"A: 1\r\nB: 2", "one\r\ntwo"}, {"", "three"}, {"C: 3", ""}}, "\r\nafter"});
}

TEST_CASE("multipart: a body without parts is well-formed", "[multipart]") {
    CHECK(read("--B--\r\n", "B") == read_result{"", {}, "\r\n"});
    CHECK(read("--B--", "B") == read_result{"", {}, ""});
}

TEST_CASE("multipart: what a lenient parser might split otherwise is malformed", "[multipart]") {
    auto const [what, body] = GENERATE(table<std::string, std::string>({
        {"empty", ""},
        {"no delimiter", "text"},
        {"no last delimiter", "--B\r\n\r\none\r\n"},
        {"cut in the last delimiter", "--B\r\n\r\none\r\n--B-"},
        {"no blank line", "--B\r\nA: 1\r\n--B--\r\n"},
        {"a delimiter in place of a part", "--B\r\n--B--\r\n"},
        {"line feeds alone", "--B\n\none\n--B--\n"},
        {"a line feed before a delimiter", "--B\r\n\r\none\n--B\r\n\r\ntwo\r\n--B--\r\n"},
        {"a longer boundary", "--B\r\n\r\none\r\n--BB\r\n\r\ntwo\r\n--B--\r\n"},
        {"the boundary within a line", "--B\r\n\r\none --B two\r\n--B--\r\n"},
        {"the boundary within the fields", "--B\r\nA: --B\r\n\r\none\r\n--B--\r\n"},
        {"a delimiter after the last", "--B\r\n\r\none\r\n--B--\r\n--B\r\n\r\ntwo\r\n--B--\r\n"},
        {"text after a delimiter", "--B x\r\n\r\none\r\n--B--\r\n"},
        {"text after the last delimiter", "--B\r\n\r\none\r\n--B-- x\r\n"},
        {"text before the first delimiter", "x--B\r\n\r\none\r\n--B--\r\n"},
    }));
    INFO(what);
    CHECK_FALSE(read(body, "B"));
}

TEST_CASE("media type: the boundary is found as token and as quoted string", "[multipart]") {
    auto const found = find_boundary("multipart/form-data; charset=utf-8; boundary=\"a b\"; x=1");
    REQUIRE(found);
    CHECK(found->boundary == "a b");
    CHECK(found->before == "multipart/form-data; charset=utf-8");
    CHECK(found->after == "; x=1");
    CHECK(find_boundary("multipart/form-data;BOUNDARY=abc")->boundary == "abc");
    CHECK(find_boundary("multipart/mixed; x=\"; boundary=a\"; boundary=b")->boundary == "b");
    CHECK(find_boundary("multipart/mixed; boundary=" + std::string(70, 'b')));
}

TEST_CASE("media type: a boundary that is missing, doubled or not allowed is none", "[multipart]") {
    CHECK_FALSE(find_boundary("multipart/form-data"));
    CHECK_FALSE(find_boundary("multipart/form-data;"));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary"));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary="));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary=\"\""));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary=a; boundary=b"));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary=\"a\\\"b\""));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary=\"a "));
    CHECK_FALSE(find_boundary("multipart/form-data; boundary=" + std::string(71, 'b')));
    CHECK_FALSE(find_boundary("multipart/form-data; x=\"; boundary=a\""));
}

TEST_CASE("media type: JSON is application/json and every type that ends with +json", "[multipart]") {
    CHECK(idempo::detail::is_json("application/json"));
    CHECK(idempo::detail::is_json("Application/JSON ; charset=utf-8"));
    CHECK(idempo::detail::is_json("application/merge-patch+json"));
    CHECK_FALSE(idempo::detail::is_json("application/jsonl"));
    CHECK_FALSE(idempo::detail::is_json("text/plain"));
    CHECK_FALSE(idempo::detail::is_json(""));
}
