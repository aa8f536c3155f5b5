// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/step_log.hpp>

#include <idempo/detail/sha256.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

namespace idempo::detail {

namespace {

constexpr std::size_t step_check_size = 8;

void append_sized(std::string& to, std::string_view bytes) {
    std::array<unsigned char, 4> size{};
    boost::endian::store_big_u32(size.data(), static_cast<std::uint32_t>(bytes.size()));
    to.append(reinterpret_cast<char const*>(size.data()), size.size()).append(bytes);
}

std::string step_check(std::string_view label, std::string_view result) {
    auto const digest = sha256().part(label).part(result).finish();
    return {reinterpret_cast<char const*>(digest.data()), step_check_size};
}

std::string step_entry(std::string_view label, std::string_view result) {
    std::string made;
    made.reserve(2 * sizeof(std::uint32_t) + label.size() + result.size() + step_check_size);
    append_sized(made, label);
    append_sized(made, result);
    made.append(step_check(label, result));
    return made;
}

[[noreturn]] void throw_steps_unreadable() { throw std::invalid_argument("idempo: the kept steps are damaged"); }

std::string_view take_bytes(std::string_view& from, std::size_t count) {
    if (count > from.size()) throw_steps_unreadable();
    auto const taken = from.substr(0, count);
    from.remove_prefix(count);
    return taken;
}

std::string_view take_sized(std::string_view& from) {
    auto const size = take_bytes(from, sizeof(std::uint32_t));
    return take_bytes(from, boost::endian::load_big_u32(reinterpret_cast<unsigned char const*>(size.data())));
}

}  // namespace

step_log::step_log(std::string_view kept, step_limits limits, std::size_t sealed)
    : limits_(limits),
      next_{kept.size(), sealed} {
    while (!kept.empty()) {
        auto const label = take_sized(kept);
        auto const result = take_sized(kept);
        if (take_bytes(kept, step_check_size) != step_check(label, result)) throw_steps_unreadable();
        if (label.empty()) {
            kept_.clear();
        } else {
            kept_.push_back({std::string(label), std::string(result)});
        }
    }
}

std::optional<std::string> step_log::begin(std::string_view label) {
    if (label.empty() || label.size() > longest_label) {
        throw std::invalid_argument("execution::step: a label has between 1 and 255 bytes");
    }
    if (is_running_) throw std::logic_error("execution::step: another step of this execution has not ended");
    if (std::ranges::find(used_, label) != used_.end()) {
        throw std::logic_error("execution::step: this execution has used the label before");
    }
    used_.emplace_back(label);
    auto kept = find(label);
    is_running_ = !kept;
    return kept;
}

std::string step_log::entry(std::string_view label, std::string_view result) const {
    if (result.size() > limits_.result) {
        throw std::length_error("execution::step: the result is larger than options.max_step_result");
    }
    auto made = step_entry(label, result);
    if (made.size() > limits_.all || size() > limits_.all - made.size()) {
        throw std::length_error("execution::step: the results are larger than options.max_steps in all");
    }
    return made;
}

std::size_t step_log::first_size(std::string_view kept) noexcept {
    auto rest = kept;
    for (int part = 0; part < 2; ++part) {  // label and result
        if (rest.size() < sizeof(std::uint32_t)) return 0;
        auto const size = boost::endian::load_big_u32(reinterpret_cast<unsigned char const*>(rest.data()));
        rest.remove_prefix(sizeof(std::uint32_t));
        if (size > rest.size()) return 0;
        rest.remove_prefix(size);
    }
    return rest.size() < step_check_size ? 0 : kept.size() - rest.size() + step_check_size;
}

std::string step_log::taking_back() { return step_entry({}, {}); }

std::optional<std::string> step_log::find(std::string_view label) const {
    auto const found = std::ranges::find(kept_, label, &kept_step::label);
    return found == kept_.end() ? std::nullopt : std::optional(found->result);
}

}  // namespace idempo::detail
