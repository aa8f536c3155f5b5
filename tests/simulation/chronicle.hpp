// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/virtual_time.hpp"

#include <idempo/identifiers.hpp>

#include <chrono>
#include <cstdint>
#include <iomanip>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>

namespace idempo::simulation {

using counts = std::map<std::string, std::uint64_t, std::less<>>;

/// A check that failed.
struct violation {
    std::string check;
    std::string what;
};

/// What happened in a world: as lines to read where somebody asks for them, and as counts.
class chronicle {
public:
    /// \param out null: no lines
    explicit chronicle(std::ostream* out) : out_(out), began_(world_now) {}

    template <class... Parts>
    void tell(Parts const&... parts) {
        if (out_ == nullptr) return;
        auto const since = std::chrono::duration<double, std::milli>(world_now - began_).count();
        *out_ << std::setw(10) << std::fixed << std::setprecision(3) << since << "  ";
        (*out_ << ... << parts) << '\n';
    }

    void count(std::string_view what) {
        auto const found = counts_.find(what);
        if (found != counts_.end()) {
            ++found->second;
        } else {
            counts_.emplace(what, 1);
        }
    }

    template <class... Parts>
    void violated(std::string_view check, Parts const&... parts) {
        std::ostringstream text;
        (text << ... << parts);
        tell("VIOLATION of \"", check, "\": ", text.str());
        if (!violation_) violation_ = violation{std::string(check), text.str()};
    }

    /// The first one.
    [[nodiscard]] std::optional<violation> const& found() const noexcept { return violation_; }
    [[nodiscard]] counts const& counted() const noexcept { return counts_; }

    /// A short name: tokens differ from run to run, these do not.
    [[nodiscard]] std::string name(fencing_token const& of) {
        if (of == fencing_token{}) return "-";
        auto const [place, is_new] = names_.emplace(of, names_.size() + 1);
        return 't' + std::to_string(place->second);
    }

private:
    std::ostream* out_;
    time_point began_;
    std::map<fencing_token, std::size_t> names_;
    counts counts_;
    std::optional<violation> violation_;
};

}  // namespace idempo::simulation
