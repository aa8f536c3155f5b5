// SPDX-License-Identifier: MIT
#include "check_trace/entry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

namespace check_trace {

namespace {

constexpr std::array<std::string_view, 12> subjects{"trace", "claim",  "complete", "abandon", "renew",     "save_step",
                                                    "park",  "settle", "forget",   "handler", "reconcile", "told"};

template <class Number>
Number parse(std::string_view text, int base, char const* name) {
    Number value{};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        throw malformed(std::string(name) + " is '" + std::string(text.substr(0, 40)) + "'");
    }
    return value;
}

/// The columns of a line, from left to right.
class columns {
public:
    explicit columns(std::string_view line) : rest_(line) {}

    std::string_view next(char const* name) {
        auto const end = std::min(rest_.find(' '), rest_.size());
        auto const word = rest_.substr(0, end);
        if (word.empty()) throw malformed(std::string("there is no ") + name);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return word;
    }
    [[nodiscard]] std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

constexpr std::size_t identifier_digits = 16;

std::uint64_t identifier(std::string_view text, char const* name) {
    if (text == "-") return 0;
    if (text.size() != identifier_digits) throw malformed(std::string(name) + " has not 16 digits");
    return parse<std::uint64_t>(text, 16, name);
}

subject subject_of(std::string_view word) {
    auto const found = std::find(subjects.begin(), subjects.end(), word);
    if (found == subjects.end()) throw malformed("'" + std::string(word.substr(0, 40)) + "' is nothing that happens");
    return static_cast<subject>(found - subjects.begin());
}

}  // namespace

entry read_entry(std::string_view line) {
    columns from(line);
    auto const version = from.next("version");
    if (version != "T1") throw malformed("it does not begin with 'T1'");
    entry made;
    made.process = parse<std::uint64_t>(from.next("process"), 16, "the process");
    made.number = parse<std::uint64_t>(from.next("number"), 10, "the number");
    made.time = parse<std::int64_t>(from.next("time"), 10, "the time");
    made.store = from.next("store");
    auto const key = from.next("key");
    made.has_key = key != "-";
    made.key = identifier(key, "the key");
    made.token = identifier(from.next("token"), "the token");
    made.attempt = parse<unsigned>(from.next("attempt"), 10, "the attempt");
    made.what = subject_of(from.next("event"));
    made.how = from.next("answer");
    made.fields = from.rest();
    if (made.is_call() && !made.has_key) throw malformed("a call has no key");
    return made;
}

std::string_view field(entry const& of, std::string_view name) noexcept {
    auto rest = of.fields;
    while (!rest.empty()) {
        auto const end = std::min(rest.find(' '), rest.size());
        auto const word = rest.substr(0, end);
        if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=') {
            return word.substr(name.size() + 1);
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return {};
}

std::uint64_t number_field(entry const& of, std::string_view name, std::uint64_t otherwise) {
    auto const text = field(of, name);
    return text.empty() ? otherwise : parse<std::uint64_t>(text, 10, std::string(name).c_str());
}

std::uint32_t digits_field(entry const& of, std::string_view name) {
    auto const text = field(of, name);
    return text.empty() ? 0 : parse<std::uint32_t>(text, 16, std::string(name).c_str());
}

std::string_view to_string(subject what) noexcept { return subjects[static_cast<std::size_t>(what)]; }

}  // namespace check_trace
