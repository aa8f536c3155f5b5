// SPDX-License-Identifier: MIT
#include "simulation/postgres/wire.hpp"

#include <cstddef>
#include <stdexcept>

namespace idempo::simulation {

namespace {

std::string write_big_endian(std::uint64_t number, std::size_t size) {
    std::string bytes;
    for (auto left = size; left > 0; --left) bytes += static_cast<char>(number >> (8 * (left - 1)) & 0xFFU);
    return bytes;
}

}  // namespace

std::string write_int4(std::int32_t number) {
    return write_big_endian(static_cast<std::uint32_t>(number), sizeof number);
}

std::string write_int8(std::int64_t number) {
    return write_big_endian(static_cast<std::uint64_t>(number), sizeof number);
}

std::string write_bool(bool is) { return std::string(1, is ? '\1' : '\0'); }

std::int64_t read_int(std::string_view bytes) {
    std::uint64_t number = 0;
    for (char const each : bytes) number = number << 8U | static_cast<unsigned char>(each);
    return static_cast<std::int64_t>(number);
}

std::vector<std::string> read_array(std::string_view bytes) {
    constexpr std::size_t header = 20;
    constexpr std::size_t word = 4;
    if (bytes.size() < header || read_int(bytes.substr(0, word)) != 1) throw std::invalid_argument("not an array");
    auto const count = read_int(bytes.substr(12, word));
    bytes.remove_prefix(header);
    std::vector<std::string> elements;
    for (std::int64_t i = 0; i < count; ++i) {
        auto const size = static_cast<std::size_t>(read_int(bytes.substr(0, word)));
        elements.emplace_back(bytes.substr(word, size));
        bytes.remove_prefix(word + size);
    }
    return elements;
}

}  // namespace idempo::simulation
