// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

/// A point of a transfer's life at which this process kills itself, for crash tests. Copies count together.
class failpoint {
public:
    failpoint() = default;

    /// \param text `NAME`, or `NAME:N` for the N-th time that the point is reached. Names: after_lock, in_handler,
    /// before_insert, before_commit, after_commit.
    /// \throws std::invalid_argument if there is no such point
    explicit failpoint(std::string_view text);

    void reached(std::string_view name) const;

    /// Those points that the library tells of; `in_handler` is the handler's.
    [[nodiscard]] idempo::observer observer() const;

private:
    std::string name_;
    std::shared_ptr<std::atomic<int>> left_;
};
