// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/open_store.hpp>

#include <idempo/stores/memory_store.hpp>

#include <algorithm>
#include <charconv>
#include <system_error>

namespace idempo {

namespace {

std::size_t positive_number(std::string_view name, std::string_view text) {
    std::size_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0) {
        throw std::invalid_argument("memory: " + std::string(name) + " must be a positive whole number");
    }
    return number;
}

void set_option(memory_store_options& options, std::string_view parameter) {
    auto const equals = parameter.find('=');
    auto const name = parameter.substr(0, equals);
    auto const value = equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1);
    if (name == "max_records") {
        options.max_records = positive_number(name, value);
    } else if (name == "max_bytes") {
        options.max_bytes = positive_number(name, value);
    } else {
        throw std::invalid_argument("memory: knows only max_records and max_bytes");
    }
}

}  // namespace

any_store memory_scheme::open(asio::any_io_executor executor, std::string_view url) const {
    auto rest = url.substr(url.find(':') + 1);
    memory_store_options options;
    if (!rest.empty() && rest.front() != '?') throw std::invalid_argument("memory: has no host or path");
    if (!rest.empty()) rest.remove_prefix(1);
    while (!rest.empty()) {
        auto const end = std::min(rest.find('&'), rest.size());
        set_option(options, rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return {memory_store(std::move(options)), std::move(executor)};
}

}  // namespace idempo
