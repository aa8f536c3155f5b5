// SPDX-License-Identifier: MIT
#include "servers/transfer_server/failpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace {

constexpr std::array<std::string_view, 5> names{"after_lock", "in_handler", "before_insert", "before_commit",
                                                "after_commit"};

std::string_view name_of(idempo::event const& event) {
    using idempo::event_step;
    using idempo::event_type;
    if (event.type == event_type::step_began) {
        if (event.step == event_step::handler) return "after_lock";
        if (event.step == event_step::complete) return "before_insert";
        if (event.step == event_step::commit) return "before_commit";
    }
    if (event.type == event_type::step_ended && event.step == event_step::commit) return "after_commit";
    return {};
}

}  // namespace

failpoint::failpoint(std::string_view text) : name_(text.substr(0, text.find(':'))) {
    int count = 1;
    bool is_valid = std::find(names.begin(), names.end(), name_) != names.end();
    if (name_.size() < text.size()) {
        auto const* const end = text.data() + text.size();
        auto const [stopped, error] = std::from_chars(text.data() + name_.size() + 1, end, count);
        is_valid = is_valid && error == std::errc{} && stopped == end && count > 0;
    }
    if (!is_valid) {
        throw std::invalid_argument(
            "--failpoint: after_lock, in_handler, before_insert, before_commit or after_commit, and :N behind it");
    }
    left_ = std::make_shared<std::atomic<int>>(count);
}

void failpoint::reached(std::string_view name) const {
    if (!left_ || name != name_) return;
    if (--*left_ == 0) std::raise(SIGKILL);
}

idempo::observer failpoint::observer() const {
    return [self = *this](idempo::event const& event) { self.reached(name_of(event)); };
}
