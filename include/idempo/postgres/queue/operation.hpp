// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/listing.hpp>
#include <idempo/shared_bytes.hpp>
#include <idempo/store.hpp>

#include <boost/intrusive/link_mode.hpp>
#include <boost/intrusive/list_hook.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace idempo::postgres {

using time_point = std::chrono::steady_clock::time_point;

/// Operations of one kind can share a statement.
enum class operation_kind {
    claim,
    claim_without_takeover,
    claim_parked,
    claim_remembering,
    claim_without_takeover_remembering,
    claim_parked_remembering,
    complete,
    renew,
    save_step,
    park,
    settle,
    free,
    abandon,
    peek,
    forget,
    list
};
inline constexpr std::size_t operation_kinds = 16;

/// Of the records in one statement, or in its answer; one record may be longer. A server that writes 10 MB a second is
/// done with it in a tenth of the default deadline.
inline constexpr std::size_t largest_statement_bytes = std::size_t{1} << 20;

/// What any operation asks for; what a kind does not need is left empty.
struct request {
    operation_kind kind{};
    store_key key;
    fencing_token by{};
    fingerprint of{};
    std::chrono::milliseconds lease{};
    std::chrono::milliseconds retention{};
    /// Or the step, the reason, or the digits that listed keys begin with.
    shared_bytes record{};
    /// The offset of a step, the attempt that is settled, or how many rows are listed.
    std::int64_t number = 0;
    /// Another operation of the key has just run here, so that there is a record in all likelihood.
    bool expects_record = false;
    std::chrono::milliseconds remember{};
    /// What is listed, and where that begins: behind `key`, or without a value in the order of keys, at a page.
    list_request wanted{};
    std::optional<std::int64_t> page{};
};

/// Abandon has none.
using answer =
    std::variant<std::monostate, claim_result, complete_result, bool, std::optional<record_info>, record_page>;

struct outcome {
    error_code error;
    postgres::answer answer;
};

/// One call of the store, from its submission to its answer. What changes in it is guarded by the dispatcher's lock.
class operation : public std::enable_shared_from_this<operation>,
                  public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    explicit operation(postgres::request asked) : request_(std::move(asked)) {}
    operation(operation const&) = delete;
    operation& operator=(operation const&) = delete;
    virtual ~operation() = default;

    [[nodiscard]] postgres::request const& request() const noexcept { return request_; }
    [[nodiscard]] operation_kind kind() const noexcept { return request_.kind; }
    [[nodiscard]] store_key const& key() const noexcept { return request_.key; }

    /// What it keeps in memory.
    [[nodiscard]] std::size_t bytes() const noexcept { return request_.record.size(); }

    void expect_record() noexcept { request_.expects_record = true; }

    /// Tells the caller, as if by post. Called once, on the store's executor.
    virtual void deliver(outcome result) = 0;

    /// When the caller is told that it timed out.
    time_point deadline{};
    /// Whether it is decided what the caller is told; such an operation only keeps its place.
    std::atomic<bool> is_settled{false};

private:
    postgres::request request_;
};

}  // namespace idempo::postgres
