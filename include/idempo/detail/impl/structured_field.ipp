// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/structured_field.hpp>

#include <idempo/detail/utf8_checker.hpp>

#include <array>
#include <cstddef>

namespace idempo::detail {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) noexcept { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
constexpr bool is_printable(char c) noexcept { return c >= ' ' && c <= '~'; }

constexpr bool is_one_of(char c, std::string_view set) noexcept { return set.find(c) != std::string_view::npos; }

/// RFC 9110, section 5.6.2.
constexpr bool is_token_character(char c) noexcept {
    return is_alpha(c) || is_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

/// The value of a hexadecimal digit, which must be lower case (RFC 9651, section 4.2.10); -1 for anything else.
constexpr int hex_value(char c) noexcept {
    if (is_digit(c)) return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The characters that stand for themselves in a String. A table, since every key is read by it.
constexpr auto plain_string_characters = [] {
    std::array<bool, 256> plain{};
    for (char c = ' '; c <= '~'; ++c) plain[static_cast<unsigned char>(c)] = c != '"' && c != '\\';
    return plain;
}();

/// Consumes the recognised text from the front of the input. Each `take_` function is one of the parsing algorithms of
/// RFC 9651, section 4.2, and returns false where that says "fail parsing".
class item_parser {
public:
    explicit item_parser(std::string_view input) noexcept : rest_(input) {}

    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    void skip_spaces() noexcept {
        while (next_is(' ')) rest_.remove_prefix(1);
    }

    /// Section 4.2.5. `content` may be null.
    bool take_string(std::string* content) {
        if (!take('"')) return false;
        for (;;) {
            auto const plain =
                take_while([](char c) { return plain_string_characters[static_cast<unsigned char>(c)]; });
            if (content != nullptr) content->append(plain);
            if (take('"')) return true;
            if (!take('\\') || (!next_is('"') && !next_is('\\'))) return false;
            char const escaped = take_any();
            if (content != nullptr) *content += escaped;
        }
    }

    /// Section 4.2.3.2.
    bool take_parameters() {
        while (take(';')) {
            skip_spaces();
            if (!take_parameter_name()) return false;
            if (take('=') && !take_bare_item()) return false;
        }
        return true;
    }

private:
    [[nodiscard]] bool next_is(char c) const noexcept { return !at_end() && rest_.front() == c; }

    /// \pre not at the end
    char take_any() noexcept {
        char const c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    bool take(char c) noexcept {
        if (!next_is(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    template <class Predicate>
    std::string_view take_while(Predicate belongs) noexcept {
        std::size_t length = 0;
        while (length != rest_.size() && belongs(rest_[length])) ++length;
        auto const taken = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return taken;
    }

    /// Section 4.2.3.3.
    bool take_parameter_name() noexcept {
        if (at_end() || !(is_lower(rest_.front()) || next_is('*'))) return false;
        take_while([](char c) { return is_lower(c) || is_digit(c) || is_one_of(c, "_-.*"); });
        return true;
    }

    /// Section 4.2.3.1: the first character says which type it is.
    bool take_bare_item() {
        if (at_end()) return false;
        switch (rest_.front()) {
        case '"': return take_string(nullptr);
        case ':': return take_byte_sequence();
        case '?': return take_boolean();
        case '@': return take_date();
        case '%': return take_display_string();
        default: return take_number() || take_token();
        }
    }

    /// Section 4.2.4, Integer or Decimal. Consumes nothing if there is no number.
    bool take_number() noexcept {
        auto const before = rest_;
        if (take_integer() && (!next_is('.') || take_fraction())) return true;
        rest_ = before;
        return false;
    }

    /// At most 15 digits; at most 12 before a dot.
    bool take_integer() noexcept {
        take('-');
        auto const digits = take_while(is_digit).size();
        return digits >= 1 && digits <= (next_is('.') ? 12U : 15U);
    }

    bool take_fraction() noexcept {
        take('.');
        auto const digits = take_while(is_digit).size();
        return digits >= 1 && digits <= 3;
    }

    /// Section 4.2.6.
    bool take_token() noexcept {
        if (!is_alpha(rest_.front()) && rest_.front() != '*') return false;
        take_while([](char c) { return is_token_character(c) || is_one_of(c, ":/"); });
        return true;
    }

    /// Section 4.2.7: base64 (RFC 4648, section 4). Padding may be absent, but not wrong.
    bool take_byte_sequence() noexcept {
        take(':');
        auto const digits = take_while([](char c) { return is_alpha(c) || is_digit(c) || is_one_of(c, "+/"); }).size();
        auto const padding = take_while([](char c) { return c == '='; }).size();
        if (!take(':') || digits % 4 == 1) return false;
        return padding == 0 || (padding <= 2 && (digits + padding) % 4 == 0);
    }

    /// Section 4.2.8.
    bool take_boolean() noexcept {
        take('?');
        return take('0') || take('1');
    }

    /// Section 4.2.9: an Integer, and no Decimal.
    bool take_date() noexcept {
        take('@');
        return take_integer() && !next_is('.');
    }

    /// Section 4.2.10: UTF-8, with the bytes outside ASCII, `%` and `"` as two hexadecimal digits after a `%`.
    bool take_display_string() noexcept {
        take('%');
        if (!take('"')) return false;
        utf8_checker checker;
        while (!at_end()) {
            char const c = take_any();
            if (c == '"') return checker.is_complete();
            auto byte = static_cast<unsigned char>(c);
            if (!is_printable(c) || (c == '%' && !take_hex_byte(byte)) || !checker.accepts(byte)) return false;
        }
        return false;
    }

    bool take_hex_byte(unsigned char& byte) noexcept {
        if (rest_.size() < 2) return false;
        int const high = hex_value(take_any());
        int const low = hex_value(take_any());
        byte = static_cast<unsigned char>(high * 16 + low);
        return high >= 0 && low >= 0;
    }

    std::string_view rest_;
};

}  // namespace

bool parse_string_item(std::string_view field_value, std::string& content) {
    item_parser parser(field_value);
    parser.skip_spaces();
    if (!parser.take_string(&content) || !parser.take_parameters()) return false;
    parser.skip_spaces();
    return parser.at_end();
}

}  // namespace idempo::detail
