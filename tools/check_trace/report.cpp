// SPDX-License-Identifier: MIT
#include "check_trace/report.hpp"

#include <array>
#include <cstdio>
#include <ostream>
#include <string_view>

namespace check_trace {

namespace {

std::string hex(std::uint64_t value) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
    return text.data();
}

std::string quoted(std::string_view text) {
    constexpr unsigned char first_printable = 0x20;
    std::string json = "\"";
    for (char const letter : text) {
        if (letter == '"' || letter == '\\') json += '\\';
        json += static_cast<unsigned char>(letter) < first_printable ? ' ' : letter;  // no column has any
    }
    return json + '"';
}

std::string file_of(violation const& of, std::vector<std::string> const& files) {
    auto const& name = files.at(of.where.file);
    return name == "-" ? "standard input" : name;
}

}  // namespace

void print(std::ostream& out, findings const& found, reading const& read, std::vector<std::string> const& files) {
    for (auto const& each : found.first) {
        out << file_of(each, files) << ':' << each.where.line << ": the model forbids this\n  record  " << each.store
            << ' ' << hex(each.key) << "\n  event   " << each.event << "\n  state   " << each.state << "\n  rule    "
            << (each.rule.empty() ? "nothing like it is in the model" : each.rule) << '\n';
    }
    for (auto const& [name, count] : found.counts) out << count << ' ' << name << '\n';
    out << found.lines << " events, " << found.calls << " calls, " << found.records << " records, " << found.processes
        << " processes\n"
        << found.unanswered << " calls without an answer, " << found.missing << " lines missing, " << read.cut
        << " lines cut off, " << found.undecided << " calls not judged\n"
        << found.violations << " outside the model\n";
}

void print_json(std::ostream& out, findings const& found, reading const& read, std::vector<std::string> const& files) {
    out << "{\"events\":" << found.lines << ",\"calls\":" << found.calls << ",\"records\":" << found.records
        << ",\"processes\":" << found.processes << ",\"unanswered\":" << found.unanswered
        << ",\"missing\":" << found.missing << ",\"cut\":" << read.cut << ",\"undecided\":" << found.undecided
        << ",\"outside\":" << found.violations << ",\"counts\":{";
    char const* before = "";
    for (auto const& [name, count] : found.counts) {
        out << before << quoted(name) << ':' << count;
        before = ",";
    }
    out << "},\"first\":[";
    before = "";
    for (auto const& each : found.first) {
        out << before << "{\"file\":" << quoted(file_of(each, files)) << ",\"line\":" << each.where.line
            << ",\"store\":" << quoted(each.store) << ",\"record\":\"" << hex(each.key)
            << "\",\"event\":" << quoted(each.event) << ",\"state\":" << quoted(each.state)
            << ",\"rule\":" << quoted(each.rule) << '}';
        before = ",";
    }
    out << "]}\n";
}

}  // namespace check_trace
