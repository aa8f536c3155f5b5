// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/any_store.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace idempo {

/// Opens stores by URL scheme: `accepts("redis")`, and `open` for a URL of an accepted scheme, which throws
/// `std::invalid_argument` with a sentence if the URL is invalid. An unreachable server is not an error here.
template <class T>
concept store_scheme = requires(T const& scheme, asio::any_io_executor executor, std::string_view text) {
    { scheme.accepts(text) } -> std::same_as<bool>;
    { scheme.open(executor, text) } -> std::same_as<any_store>;
};

/// `memory:`, and `memory:?max_records=1000&max_bytes=1000000`.
struct memory_scheme {
    [[nodiscard]] bool accepts(std::string_view scheme) const noexcept { return scheme == "memory"; }
    [[nodiscard]] any_store open(asio::any_io_executor executor, std::string_view url) const;
};

/// The store that the URL names, among `memory:` and the given schemes. So a program chooses its store in its
/// configuration and links only what it names: `open_store(executor, url, redis_scheme{}, postgres_scheme{})`.
/// \throws std::invalid_argument with a sentence that does not quote the URL, since it may hold a password.
template <store_scheme... Schemes>
any_store open_store(asio::any_io_executor executor, std::string_view url, Schemes const&... schemes) {
    auto const name = url_scheme(url);
    memory_scheme const memory;
    if (memory.accepts(name)) return memory.open(std::move(executor), url);
    std::optional<any_store> opened;
    [[maybe_unused]] auto const try_scheme = [&](auto const& scheme) {
        if (!opened && scheme.accepts(name)) opened.emplace(scheme.open(executor, url));
    };
    (try_scheme(schemes), ...);
    if (!opened) throw std::invalid_argument("unknown store scheme '" + name + ":'");
    return std::move(*opened);
}

}  // namespace idempo
