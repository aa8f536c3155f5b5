// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace idempo::tests {

/// An executor that records that work ran on it, and knows whether the caller runs on it. Copies, and the results of
/// `require` and `prefer`, are one executor.
class recording_executor {
    using inner_executor = boost::asio::any_io_executor;
    using run_count = std::shared_ptr<std::atomic<int>>;

public:
    /// Not a constructor: it would convert from everything that converts to an `any_io_executor`, this class included.
    static recording_executor around(inner_executor inner) {
        return {std::move(inner), std::make_shared<std::atomic<int>>(0)};
    }

    /// Whether the calling function was run by this executor.
    [[nodiscard]] bool is_running() const noexcept { return current() == parts_->runs.get(); }

    /// How many functions it has run.
    [[nodiscard]] int runs() const noexcept { return *parts_->runs; }

    template <class Function>
    void execute(Function&& function) const {
        parts_->inner.execute([runs = parts_->runs, work = std::forward<Function>(function)]() mutable {
            running const here(runs.get());
            ++*runs;
            std::move(work)();
        });
    }

    template <class Property>
        requires boost::asio::can_query<inner_executor const&, Property>::value
    decltype(auto) query(Property const& property) const {
        return boost::asio::query(parts_->inner, property);
    }

    template <class Property>
        requires boost::asio::can_require<inner_executor const&, Property>::value
    recording_executor require(Property const& property) const {
        return {boost::asio::require(parts_->inner, property), parts_->runs};
    }

    template <class Property>
        requires boost::asio::can_prefer<inner_executor const&, Property>::value
    recording_executor prefer(Property const& property) const {
        return {boost::asio::prefer(parts_->inner, property), parts_->runs};
    }

    friend bool operator==(recording_executor const& left, recording_executor const& right) noexcept {
        return left.parts_->runs == right.parts_->runs && left.parts_->inner == right.parts_->inner;
    }
    friend bool operator!=(recording_executor const& left, recording_executor const& right) noexcept {
        return !(left == right);
    }

private:
    struct parts {
        inner_executor inner;
        run_count runs;
    };

    /// For as long as a function runs.
    class running {
    public:
        explicit running(std::atomic<int> const* here) noexcept : outer_(std::exchange(current(), here)) {}
        running(running const&) = delete;
        running& operator=(running const&) = delete;
        ~running() { current() = outer_; }

    private:
        std::atomic<int> const* outer_;
    };

    recording_executor(inner_executor inner, run_count runs)
        : parts_(std::make_shared<parts const>(parts{std::move(inner), std::move(runs)})) {}

    static std::atomic<int> const*& current() noexcept {
        thread_local std::atomic<int> const* here = nullptr;
        return here;
    }

    /// One pointer, so that an `any_io_executor` holds it in place: what it shares it counts by a fence, which
    /// ThreadSanitizer does not understand.
    std::shared_ptr<parts const> parts_;
};

}  // namespace idempo::tests
