// SPDX-License-Identifier: MIT
#include <idempo/key.hpp>

#include "support/catch.hpp"

#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using idempo::key_syntax;
using idempo::make_store_key;
using idempo::parse_key;

namespace {

using namespace std::string_literals;

struct accepted {
    char const* name;
    std::string field_value;
    std::string key;
};

struct named_value {
    char const* name;
    std::string field_value;
};

/// The String that stands for the key (RFC 9651, section 4.1.6).
std::string in_quotes(std::string_view key) {
    std::string text = "\"";
    for (char const c : key) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text += '"';
}

std::vector<accepted> const strings{
    {"one character", R"("a")", "a"},
    {"a uuid", R"("8e03978e-40d5-43dd-bc93-6894a57f9324")", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
    {"spaces inside", R"("a b")", "a b"},
    {"only a space", R"(" ")", " "},
    {"comma and semicolon", R"("a,b;c")", "a,b;c"},
    {"escaped quote", R"("a\"b")", "a\"b"},
    {"escaped backslash", R"("a\\b")", "a\\b"},
    {"escaped backslash before the closing quote", R"("a\\")", "a\\"},
    {"first and last printable characters", R"(" ~")", " ~"},
    {"spaces around", R"(  "a"  )", "a"},
    {"the longest", in_quotes(std::string(255, 'x')), std::string(255, 'x')},
    {"the longest with escapes", in_quotes(std::string(255, '"')), std::string(255, '"')},
};

std::vector<named_value> const not_strings{
    {"unterminated", R"("abc)"},
    {"only a quote", R"(")"},
    {"escape at the end", R"("abc\)"},
    {"escaped quote at the end", R"("abc\")"},
    {"escape of another character", R"("a\nb")"},
    {"escape of a space", R"("a\ b")"},
    {"empty string", R"("")"},
    {"too long", in_quotes(std::string(256, 'x'))},
    {"trailing garbage", R"("abc"d)"},
    {"trailing garbage after a space", R"("abc" d)"},
    {"a second string", R"("abc""def")"},
    {"a list", R"("abc", "def")"},
    {"a trailing comma", R"("abc",)"},
    {"NUL", "\"a\0b\""s},
    {"control character", "\"a\x1f\""},
    {"HTAB inside", "\"a\tb\""},
    {"HTAB before", "\t\"a\""},
    {"HTAB after", "\"a\"\t"},
    {"line feed", "\"a\n\""},
    {"DEL", "\"a\x7f\""},
    {"UTF-8", "\"\xc3\xa9\""},
    {"first byte outside ASCII", "\"\x80\""},
    {"last byte", "\"\xff\""},
    {"single quotes with a quote", R"('a"')"},
    {"an inner list", R"(("abc"))"},
};

/// What may follow `"abc"`.
std::vector<named_value> const good_parameters{
    {"flag", ";a"},
    {"several", ";a;b=1;c=\"x\""},
    {"repeated", ";a=1;a=2"},
    {"spaces after the semicolon", ";   a=1"},
    {"spaces after the last", ";a=1  "},
    {"name with a star first", ";*a"},
    {"name with every kind of character", ";az09_-.*=1"},
    {"integer", ";a=0"},
    {"negative integer", ";a=-1"},
    {"minus zero", ";a=-0"},
    {"leading zeros", ";a=007"},
    {"longest integer", ";a=999999999999999"},
    {"longest negative integer", ";a=-999999999999999"},
    {"decimal", ";a=1.5"},
    {"negative decimal", ";a=-1.5"},
    {"three decimals", ";a=0.001"},
    {"longest decimal", ";a=123456789012.123"},
    {"string", ";a=\"b c\""},
    {"empty string", ";a=\"\""},
    {"string with escapes", ";a=\"\\\"\\\\\""},
    {"string with a semicolon", ";a=\";=\""},
    {"token", ";a=foo"},
    {"token with a star first", ";a=*"},
    {"token in capitals", ";a=FOO"},
    {"token with every kind of character", ";a=A1!#$%&'*+-.^_`|~:/"},
    {"byte sequence", ";a=:aGVsbG8=:"},
    {"byte sequence of two paddings", ";a=:YQ==:"},
    {"byte sequence without padding", ";a=:YQ:"},
    {"byte sequence with pad bits", ";a=:iZ==:"},
    {"empty byte sequence", ";a=::"},
    {"byte sequence with plus and slash", ";a=:+/+/:"},
    {"true", ";a=?1"},
    {"false", ";a=?0"},
    {"date", ";a=@1659578233"},
    {"date before 1970", ";a=@-1659578233"},
    {"display string", ";a=%\"foo\""},
    {"empty display string", ";a=%\"\""},
    {"display string with two bytes", ";a=%\"f%c3%bc\""},
    {"display string with three bytes", ";a=%\"%e2%82%ac\""},
    {"display string with four bytes", ";a=%\"%f0%9f%92%a9\""},
    {"display string with the last character", ";a=%\"%f4%8f%bf%bf\""},
    {"display string with an escaped quote", ";a=%\"%22%25\""},
    {"display string with a backslash", ";a=%\"\\\""},
    {"display string with an escaped control character", ";a=%\"%00\""},
};

std::vector<named_value> const bad_parameters{
    {"no name", ";"},
    {"no name before the next", ";;a"},
    {"no name before the value", ";=1"},
    {"space before the semicolon", " ;a"},
    {"space before the equals sign", ";a =1"},
    {"space after the equals sign", ";a= 1"},
    {"HTAB after the semicolon", ";\ta"},
    {"capital in the name", ";A=1"},
    {"capital later in the name", ";aB=1"},
    {"name that starts with a digit", ";1a"},
    {"name that starts with a dash", ";-a"},
    {"no value", ";a="},
    {"no value before the next", ";a=;b"},
    {"value that starts like nothing", ";a=!"},
    {"value outside ASCII", ";a=\xc3\xa9"},
    {"inner list", ";a=(1)"},
    {"two values", ";a=1,2"},
    {"integer too long", ";a=1234567890123456"},
    {"minus alone", ";a=-"},
    {"two minuses", ";a=--1"},
    {"plus", ";a=+1"},
    {"integer then letter", ";a=1x"},
    {"decimal without digits before the dot", ";a=.5"},
    {"negative decimal without digits before the dot", ";a=-.5"},
    {"decimal without digits after the dot", ";a=1."},
    {"decimal with four digits after the dot", ";a=1.0000"},
    {"decimal with thirteen digits before the dot", ";a=1234567890123.1"},
    {"decimal with two dots", ";a=1.1.1"},
    {"exponent", ";a=1e3"},
    {"unterminated string", ";a=\"b"},
    {"string with a bad escape", ";a=\"\\b\""},
    {"string outside ASCII", ";a=\"\xc3\xa9\""},
    {"token outside ASCII", ";a=b\xc3\xa9"},
    {"token with a brace", ";a=b{"},
    {"token with a quote", ";a=b\"c\""},
    {"unterminated byte sequence", ";a=:YQ=="},
    {"byte sequence with padding first", ";a=:=YQ=:"},
    {"byte sequence with padding in the middle", ";a=:Y=Q=:"},
    {"byte sequence with one character", ";a=:Y:"},
    {"byte sequence with five characters", ";a=:YWFhY:"},
    {"byte sequence with too little padding", ";a=:YQ=:"},
    {"byte sequence with three paddings", ";a=:Y===:"},
    {"byte sequence of padding only", ";a=:====:"},
    {"byte sequence in the URL alphabet", ";a=:-_-_:"},
    {"byte sequence with a space", ";a=:YWFh YWFh:"},
    {"byte sequence with a line feed", ";a=:YWFh\nYWFh:"},
    {"boolean 2", ";a=?2"},
    {"boolean without a value", ";a=?"},
    {"boolean in letters", ";a=?true"},
    {"boolean 10", ";a=?10"},
    {"date with a fraction", ";a=@1.5"},
    {"date with a dot", ";a=@1."},
    {"date without digits", ";a=@"},
    {"date with minus only", ";a=@-"},
    {"date too long", ";a=@1234567890123456"},
    {"date in letters", ";a=@today"},
    {"display string without quotes", ";a=%foo"},
    {"display string that ends at the percent sign", ";a=%"},
    {"display string in single quotes", ";a=%'foo'"},
    {"unterminated display string", ";a=%\"foo"},
    {"display string outside ASCII", ";a=%\"\xc3\xbc\""},
    {"display string with a control character", ";a=%\"a\tb\""},
    {"display string with DEL", ";a=%\"\x7f\""},
    {"display string in capital digits", ";a=%\"%C3%BC\""},
    {"display string with one digit", ";a=%\"%c\""},
    {"display string cut after the percent sign", ";a=%\"%"},
    {"display string cut after one digit", ";a=%\"%c"},
    {"display string with letters that are no digits", ";a=%\"%g0\""},
    {"display string with a lone continuation byte", ";a=%\"%bc\""},
    {"display string with a lone lead byte", ";a=%\"%c3\""},
    {"display string with a lead byte before a letter", ";a=%\"%c3a\""},
    {"display string with two lead bytes", ";a=%\"%c3%c3\""},
    {"display string with an overlong two-byte form", ";a=%\"%c0%af\""},
    {"display string with an overlong three-byte form", ";a=%\"%e0%80%af\""},
    {"display string with an overlong four-byte form", ";a=%\"%f0%80%80%af\""},
    {"display string with a surrogate", ";a=%\"%ed%a0%80\""},
    {"display string above the last character", ";a=%\"%f4%90%80%80\""},
    {"display string with a byte that UTF-8 does not have", ";a=%\"%ff\""},
};

std::vector<accepted> const bare_keys{
    {"one character", "a", "a"},
    {"a uuid", "8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
    {"first and last visible characters", "!~", "!~"},
    {"spaces around", "  a  ", "a"},
    {"single quotes are part of it", "'a'", "'a'"},
    {"what looks like a byte sequence", ":YQ==:", ":YQ==:"},
    {"what looks like a boolean", "?1", "?1"},
    {"base64", "a+b/c==", "a+b/c=="},
    {"an equals sign", "a=b", "a=b"},
    {"the longest", std::string(255, 'x'), std::string(255, 'x')},
};

std::vector<named_value> const not_bare_keys{
    {"nothing", ""},
    {"only spaces", "   "},
    {"only HTAB", "\t"},
    {"too long", std::string(256, 'x')},
    {"space inside", "a b"},
    {"HTAB inside", "a\tb"},
    {"HTAB around", "\ta"},
    {"comma", "a,b"},
    {"semicolon", "a;b"},
    {"quote inside", "a\"b"},
    {"quote at the end", "a\""},
    {"backslash", "a\\b"},
    {"NUL", "a\0b"s},
    {"only NUL", "\0"s},
    {"control character", "a\x01"},
    {"carriage return", "a\r"},
    {"DEL", "a\x7f"},
    {"UTF-8", "\xc3\xa9"},
    {"Latin-1", "caf\xe9"},
};

}  // namespace

TEST_CASE("key: a String is a key in both syntaxes", "[key]") {
    for (auto const& row : strings) {
        DYNAMIC_SECTION(row.name) {
            CHECK(parse_key(row.field_value, key_syntax::strict) == row.key);
            CHECK(parse_key(row.field_value, key_syntax::lenient) == row.key);
        }
    }
}

TEST_CASE("key: an invalid String is not a key in either syntax", "[key]") {
    for (auto const& row : not_strings) {
        DYNAMIC_SECTION(row.name) {
            CHECK_FALSE(parse_key(row.field_value, key_syntax::strict));
            CHECK_FALSE(parse_key(row.field_value, key_syntax::lenient));
        }
    }
}

TEST_CASE("key: valid parameters are ignored", "[key]") {
    for (auto const& row : good_parameters) {
        DYNAMIC_SECTION(row.name) {
            CHECK(parse_key("\"abc\"" + row.field_value, key_syntax::strict) == "abc");
            CHECK(parse_key("\"abc\"" + row.field_value, key_syntax::lenient) == "abc");
            bool const may_go_on = row.field_value.back() != ' ';
            CHECK(parse_key("\"abc\"" + row.field_value + ";z=?0", key_syntax::strict).has_value() == may_go_on);
        }
    }
}

TEST_CASE("key: parameters that are not valid make the key malformed", "[key]") {
    for (auto const& row : bad_parameters) {
        DYNAMIC_SECTION(row.name) {
            CHECK_FALSE(parse_key("\"abc\"" + row.field_value, key_syntax::strict));
            CHECK_FALSE(parse_key("\"abc\"" + row.field_value, key_syntax::lenient));
        }
    }
}

TEST_CASE("key: a bare key is a key in the lenient syntax only, and the same as its String", "[key]") {
    for (auto const& row : bare_keys) {
        DYNAMIC_SECTION(row.name) {
            CHECK(parse_key(row.field_value, key_syntax::lenient) == row.key);
            CHECK_FALSE(parse_key(row.field_value, key_syntax::strict));
            CHECK(parse_key(in_quotes(row.key), key_syntax::strict) == row.key);
        }
    }
}

TEST_CASE("key: other text than a String or a bare key is malformed", "[key]") {
    for (auto const& row : not_bare_keys) {
        DYNAMIC_SECTION(row.name) {
            CHECK_FALSE(parse_key(row.field_value, key_syntax::lenient));
            CHECK_FALSE(parse_key(row.field_value, key_syntax::strict));
        }
    }
}

TEST_CASE("key: each byte alone is a key or not as its class says", "[key]") {
    for (int code = 0; code < 256; ++code) {
        char const c = static_cast<char>(code);
        bool const printable = code >= 0x20 && code <= 0x7E;
        bool const bare = printable && std::string_view(" \"\\,;").find(c) == std::string_view::npos;
        CAPTURE(code);
        CHECK(parse_key(std::string(1, c), key_syntax::lenient).has_value() == bare);
        CHECK(parse_key("\"x" + std::string(1, c) + "y\"", key_syntax::strict).has_value() ==
              (printable && c != '"' && c != '\\'));
    }
}

TEST_CASE("key: every accepted value is the same key in its quoted form", "[key]") {
    auto const seed = std::random_device{}();
    std::cout << "key_test seed " << seed << '\n';
    CAPTURE(seed);
    std::mt19937 random(seed);
    constexpr std::string_view alphabet = "\"\"\"\\;;=aZ09_-.*:?@%/+, \t~\x7f\xc3";
    std::size_t accepted_values = 0;
    std::size_t rejected_values = 0;
    for (int round = 0; round < 200'000; ++round) {
        std::string value = random() % 2 == 0 ? "" : random() % 2 == 0 ? "\"k\"" : "\"k\";a=";
        for (auto length = random() % 12; length != 0; --length) value += alphabet[random() % alphabet.size()];
        for (auto const syntax : {key_syntax::strict, key_syntax::lenient}) {
            auto const key = parse_key(value, syntax);
            ++(key ? accepted_values : rejected_values);
            if (!key) continue;
            CAPTURE(value);
            REQUIRE((!key->empty() && key->size() <= idempo::max_key_length));
            REQUIRE(parse_key(in_quotes(*key), key_syntax::strict) == key);
            REQUIRE(parse_key(value, key_syntax::lenient) == key);
        }
    }
    CHECK(accepted_values > 2'000);
    CHECK(rejected_values > 2'000);
}

TEST_CASE("key: a store key tells namespace, scope and key apart", "[key]") {
    auto const base = make_store_key("space", "scope", "key");
    CHECK(base == make_store_key("space", "scope", "key"));
    std::vector<idempo::store_key> const others{
        make_store_key("spac", "escope", "key"),
        make_store_key("space", "scopek", "ey"),
        make_store_key("spacescope", "", "key"),
        make_store_key("", "spacescope", "key"),
        make_store_key("scope", "space", "key"),
        make_store_key("space", "scope", "Key"),
        make_store_key("space", "scope\0"s, "key"),
        make_store_key("", "", "spacescopekey"),
        make_store_key("", "", ""),
    };
    for (std::size_t i = 0; i < others.size(); ++i) {
        CAPTURE(i);
        CHECK(others[i] != base);
        for (std::size_t j = 0; j < i; ++j) CHECK(others[i] != others[j]);
    }
}

TEST_CASE("key: a store key is SHA-256 over length-prefixed parts", "[key]") {
    // printf '\001n\002me\003abc' | sha256sum
    CHECK(idempo::to_hex(make_store_key("n", "me", "abc").view()) ==
          "189679b9eda918dacb42206db15a81d4e83c6e162598addb856bb68e73072c77");
}
