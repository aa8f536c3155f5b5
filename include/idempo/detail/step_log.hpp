// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::detail {

/// In bytes.
struct step_limits {
    std::size_t result = std::size_t{64} << 10;
    std::size_t all = std::size_t{256} << 10;
};

/// Where in the store a step goes: `step_request::offset` and `index`.
struct step_place {
    std::size_t offset = 0;
    std::size_t index = 0;
};

/// The steps of one execution: those that were kept by earlier attempts, and which of all have been asked for.
///
/// Kept steps are entries, one after the other, numbers big-endian: the size of the label in 4 bytes, the label, the
/// size of the result in 4 bytes, the result, and the first 8 bytes of SHA-256 over both. An entry with an empty label
/// takes back all before it.
class step_log {
public:
    static constexpr std::size_t longest_label = 255;

    /// \param sealed how many of the steps an adapter has sealed (`granted::sealed_steps`)
    /// \throws std::invalid_argument where the bytes are not kept steps
    step_log(std::string_view kept, step_limits limits, std::size_t sealed = 0);

    /// Begins a step. The kept result; empty where the step has to run, until `end`.
    /// \throws std::invalid_argument for a label that is empty or too long
    /// \throws std::logic_error for a label that was used before, or while another step runs
    [[nodiscard]] std::optional<std::string> begin(std::string_view label);

    /// The step that runs has ended. Where its result could not be made, it may run again.
    void end(bool has_result) noexcept {
        is_running_ = false;
        if (!has_result) used_.pop_back();
    }

    /// What has to be kept of a step. \throws std::length_error where a limit does not allow it
    [[nodiscard]] std::string entry(std::string_view label, std::string_view result) const;

    /// What has to be kept so that no attempt finds a step that was kept before.
    [[nodiscard]] static std::string taking_back();

    /// The size of the first entry of kept steps; 0 where it is cut off.
    [[nodiscard]] static std::size_t first_size(std::string_view kept) noexcept;

    /// An entry has been kept.
    void added(std::size_t bytes) noexcept {
        next_.offset += bytes;
        ++next_.index;
    }

    /// The bytes that are kept.
    [[nodiscard]] std::size_t size() const noexcept { return next_.offset; }

    /// Where the next one goes.
    [[nodiscard]] step_place next() const noexcept { return next_; }

    /// Without beginning a step.
    [[nodiscard]] std::optional<std::string> find(std::string_view label) const;

private:
    struct kept_step {
        std::string label;
        std::string result;
    };

    step_limits limits_;
    std::vector<kept_step> kept_;
    std::vector<std::string> used_;
    step_place next_;
    bool is_running_ = false;
};

}  // namespace idempo::detail
