// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/canonical.hpp>

#include <idempo/json/string.hpp>
#include <idempo/option_checks.hpp>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace idempo::json {

namespace {

/// RFC 6901, section 3.
void append_reference_token(std::string& out, std::string_view name) {
    out += '/';
    for (char const character : name) {
        if (character == '~') {
            out += "~0";
        } else if (character == '/') {
            out += "~1";
        } else {
            out += character;
        }
    }
}

bool is_pointer(std::string_view text) noexcept {
    if (text.empty() || text.front() != '/') return false;
    for (auto at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
        if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
    }
    return true;
}

/// The exponent in the text of a number; empty where it is too large to reckon with.
std::optional<std::int64_t> exponent_of(std::string_view digits) {
    constexpr std::size_t longest = 12;
    if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
    if (digits.size() > longest) return std::nullopt;
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

/// Sign, digits without zeros at either end, and a power of ten: one form for one value. `text` is a JSON number.
bool append_number(std::string& out, std::string_view text) {
    bool const is_negative = text.front() == '-';
    if (is_negative) text.remove_prefix(1);
    auto const mantissa = text.substr(0, text.find_first_of("eE"));
    auto exponent = exponent_of(text.substr(std::min(mantissa.size() + 1, text.size())));
    if (!exponent) return false;
    std::string digits(mantissa);
    if (auto const point = digits.find('.'); point != std::string::npos) {
        *exponent -= static_cast<std::int64_t>(digits.size() - point - 1);
        digits.erase(point, 1);
    }
    auto const last = digits.find_last_not_of('0');
    if (last == std::string::npos) {
        out += '0';
        return true;
    }
    *exponent += static_cast<std::int64_t>(digits.size() - last - 1);
    digits.resize(last + 1);
    digits.erase(0, digits.find_first_not_of('0'));
    if (is_negative) out += '-';
    out += digits;
    if (*exponent != 0) out.append("e").append(std::to_string(*exponent));
    return true;
}

/// What Boost.JSON's parser reports to. Each value's form is made when it ends, and its object's when that ends.
class canonical_handler {
public:
    using text = boost::json::string_view;
    using error_code = boost::system::error_code;

    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    explicit canonical_handler(std::vector<std::string> const& leave_out) : leave_out_(leave_out) {}

    std::string& result() noexcept { return result_; }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }

    bool on_object_begin(error_code&) { return begin(true); }
    bool on_object_end(std::size_t, error_code& error) {
        auto ended = std::move(levels_.back());
        levels_.pop_back();
        std::string whole;
        return append_object(whole, ended.members) ? end(std::move(whole), ended) : refuse(error);
    }
    bool on_array_begin(error_code&) { return begin(false); }
    bool on_array_end(std::size_t, error_code&) {
        auto const ended = std::move(levels_.back());
        levels_.pop_back();
        return end("[" + ended.elements + "]", ended);
    }

    bool on_key_part(text part, std::size_t, error_code&) { return gather(part); }
    bool on_key(text part, std::size_t, error_code&) {
        gather(part);
        auto& object = levels_.back();
        if (!leave_out_.empty()) {
            path_.resize(object.path_size);
            append_reference_token(path_, gathered_);
        }
        object.members.push_back({std::exchange(gathered_, {}), {}, false});
        return true;
    }
    bool on_string_part(text part, std::size_t, error_code&) { return gather(part); }
    bool on_string(text part, std::size_t, error_code&) {
        gather(part);
        std::string whole;
        append_string(whole, std::exchange(gathered_, {}));
        return scalar(std::move(whole));
    }
    bool on_number_part(text part, error_code&) { return gather(part); }
    bool on_int64(std::int64_t, text part, error_code& error) { return number(part, error); }
    bool on_uint64(std::uint64_t, text part, error_code& error) { return number(part, error); }
    bool on_double(double, text part, error_code& error) { return number(part, error); }
    bool on_bool(bool value, error_code&) { return scalar(value ? "true" : "false"); }
    bool on_null(error_code&) { return scalar("null"); }
    bool on_comment_part(text, error_code&) { return true; }
    bool on_comment(text, error_code&) { return true; }

private:
    struct member {
        std::string name;
        std::string value;
        bool is_left_out;
    };

    /// An array or object that has not ended.
    struct level {
        bool is_object;
        std::size_t path_size;  // of the path to it
        std::vector<member> members{};
        std::string elements{};
        std::size_t count = 0;
    };

    bool gather(text part) {
        gathered_.append(part.data(), part.size());
        return true;
    }

    static bool refuse(error_code& error) {
        error = make_error_code(boost::system::errc::value_too_large);
        return false;
    }

    bool number(text part, error_code& error) {
        gather(part);
        std::string whole;
        return append_number(whole, std::exchange(gathered_, {})) ? scalar(std::move(whole)) : refuse(error);
    }

    /// The path of a member is known from its name; that of an element is not, before it begins.
    void begin_element() {
        if (leave_out_.empty() || levels_.empty() || levels_.back().is_object) return;
        path_.resize(levels_.back().path_size);
        append_reference_token(path_, std::to_string(levels_.back().count));
    }

    bool begin(bool is_object) {
        begin_element();
        levels_.push_back({is_object, path_.size()});
        return true;
    }

    bool scalar(std::string value) {
        begin_element();
        return add(std::move(value));
    }

    bool end(std::string value, level const& ended) {
        path_.resize(ended.path_size);
        return add(std::move(value));
    }

    bool add(std::string value) {
        if (levels_.empty()) {
            result_ = std::move(value);
            return true;
        }
        bool const is_left_out = std::find(leave_out_.begin(), leave_out_.end(), path_) != leave_out_.end();
        auto& whole = levels_.back();
        if (whole.is_object) {
            whole.members.back().is_left_out = is_left_out;
            if (!is_left_out) whole.members.back().value = std::move(value);
        } else {
            ++whole.count;
            if (!is_left_out) append_separator(whole.elements).append(value);
        }
        return true;
    }

    static std::string& append_separator(std::string& list) {
        if (!list.empty()) list += ',';
        return list;
    }

    /// False where two members have one name.
    static bool append_object(std::string& out, std::vector<member>& members) {
        std::sort(members.begin(), members.end(), [](auto const& a, auto const& b) { return a.name < b.name; });
        auto const same_name = [](auto const& a, auto const& b) { return a.name == b.name; };
        if (std::adjacent_find(members.begin(), members.end(), same_name) != members.end()) return false;
        std::string list;
        for (auto const& member : members) {
            if (member.is_left_out) continue;
            append_string(append_separator(list), member.name);
            list.append(":").append(member.value);
        }
        out.append("{").append(list).append("}");
        return true;
    }

    std::vector<std::string> const& leave_out_;
    std::vector<level> levels_;
    std::string gathered_;
    std::string path_;
    std::string result_;
};

}  // namespace

canonicalizer::canonicalizer(canonical_options options) : options_(std::move(options)) {
    for (auto const& pointer : options_.leave_out) {
        detail::require(is_pointer(pointer), "canonical_options.leave_out takes JSON Pointers, such as /sent_at");
    }
}

std::optional<std::string> canonicalizer::operator()(std::string_view text) const {
    if (text.size() > options_.max_size) return std::nullopt;
    boost::json::parse_options how;
    how.max_depth = options_.max_depth;
    boost::json::basic_parser<canonical_handler> parser(how, options_.leave_out);
    boost::system::error_code error;
    auto const read = parser.write_some(false, text.data(), text.size(), error);
    if (error || read != text.size()) return std::nullopt;
    return std::move(parser.handler().result());
}

}  // namespace idempo::json
