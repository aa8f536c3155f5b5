// SPDX-License-Identifier: MIT
#include "idempoctl/seal_keys.hpp"

#include "idempoctl/outcome.hpp"

#include <boost/algorithm/hex.hpp>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace idempoctl {

namespace {

std::optional<std::string> bytes_of(std::string_view text) {
    constexpr std::string_view prefix = "hex:";
    if (!text.starts_with(prefix)) return std::string(text);
    text.remove_prefix(prefix.size());
    std::string bytes;
    try {
        boost::algorithm::unhex(text.begin(), text.end(), std::back_inserter(bytes));
    } catch (boost::algorithm::hex_decode_error const&) {
        return std::nullopt;
    }
    return bytes;
}

std::optional<idempo::seal_key> key_in(std::string_view line) {
    std::uint32_t id = 0;
    auto const* const end = line.data() + line.size();
    auto const [stopped, error] = std::from_chars(line.data(), end, id);
    if (error != std::errc() || stopped == end || *stopped != ':') return std::nullopt;
    auto secret = bytes_of({stopped + 1, static_cast<std::size_t>(end - stopped - 1)});
    if (!secret || secret->empty()) return std::nullopt;
    return idempo::seal_key{id, *std::move(secret)};
}

}  // namespace

std::vector<idempo::seal_key> read_seal_keys(std::string const& path) {
    if (path.empty()) return {};
    std::ifstream file(path);
    if (!file) throw failure(exit_code::wrong_usage, "--seal-key-file: cannot read " + path);
    std::vector<idempo::seal_key> keys;
    int number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty() || line.front() == '#') continue;
        auto key = key_in(line);
        if (!key) {
            throw failure(exit_code::wrong_usage, "--seal-key-file: line " + std::to_string(number) +
                                                      " is neither ID:SECRET nor ID:hex:DIGITS");
        }
        keys.push_back(*std::move(key));
    }
    try {
        idempo::detail::record_seal const checked({.keys = keys});
    } catch (std::invalid_argument const& error) {
        throw failure(exit_code::wrong_usage, "--seal-key-file: " + std::string(error.what()));
    }
    return keys;
}

}  // namespace idempoctl
