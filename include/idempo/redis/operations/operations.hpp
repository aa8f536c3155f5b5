// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/called_operation.hpp>
#include <idempo/redis/operations/record.hpp>
#include <idempo/redis/operations/script_call.hpp>

#include <idempo/store.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// The calls of the store, each as what it asks and what it makes of the replies.

namespace idempo::redis {

/// The key in Redis: the prefix, and the store key in hexadecimal, by which an operator finds it.
[[nodiscard]] std::string redis_key(std::string_view prefix, store_key const& key);

/// The key of its mark: the prefix, by which permissions are given, and the key of the record as a hash tag, so that
/// both are in one slot of a cluster. \param record_key see `redis_key`; its prefix has no brace
[[nodiscard]] std::string mark_key(std::string_view prefix, std::string_view record_key);

/// On Redis 7 `SET … NX GET` first, which decides most claims; the script decides what depends on the lease, claims of
/// a busy key, those that look for a mark, and all claims elsewhere. Only the script reads what a full server has: it
/// writes last. A large response is fetched in a last step, which claims of the same key share.
class claim_operation final : public called_operation<claim_result> {
public:
    claim_operation(claim_request const& request, std::string_view prefix, boost::asio::any_io_executor executor,
                    handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &request_.fencing_token; }
    [[nodiscard]] bool is_in_first_step() const noexcept override { return !sent_script_; }
    void skip_to_second_step() override { needs_script_ = true; }
    [[nodiscard]] std::size_t record_bytes() const noexcept override { return wanted_bytes_; }
    [[nodiscard]] std::string_view wanted_record() const noexcept override { return wanted_; }
    [[nodiscard]] bool share(operation const& fetched) override;

private:
    [[nodiscard]] reading read_first_step(reply_view answer);
    [[nodiscard]] reading read_large(reply_view answer);
    [[nodiscard]] reading take_fetched(std::optional<shared_bytes> found);

    claim_request request_;
    /// Empty: it asks for none.
    std::string mark_;
    script_call script_{scripts::claim()};
    script_call fetch_{scripts::fetch()};
    bool needs_script_ = false;
    bool sent_script_ = false;
    /// The header of the large completed record to fetch, and the size of what is behind it.
    std::string wanted_;
    std::size_t wanted_bytes_ = 0;
};

class complete_operation final : public called_operation<complete_result> {
public:
    complete_operation(complete_request request, std::string_view prefix, boost::asio::any_io_executor executor,
                       handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &request_.fencing_token; }
    [[nodiscard]] std::size_t weight() const noexcept override { return operation::weight() + request_.record.size(); }
    [[nodiscard]] std::size_t record_bytes() const noexcept override {
        return request_.record.size() > max_plain_bytes ? request_.record.size() : 0;
    }

private:
    complete_request request_;
    std::string mark_;
    script_call script_{scripts::complete()};
};

class renew_operation final : public called_operation<bool> {
public:
    renew_operation(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
                    std::string_view prefix, boost::asio::any_io_executor executor, handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &by_; }

private:
    fencing_token by_;
    std::chrono::milliseconds lease_;
    std::string mark_;
    script_call script_{scripts::renew()};
};

class save_step_operation final : public called_operation<bool> {
public:
    save_step_operation(step_request request, std::string_view prefix, boost::asio::any_io_executor executor,
                        handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &request_.fencing_token; }
    [[nodiscard]] std::size_t weight() const noexcept override { return operation::weight() + request_.step.size(); }

private:
    step_request request_;
    script_call script_{scripts::save_step()};
};

class park_operation final : public called_operation<bool> {
public:
    park_operation(park_request request, std::string_view prefix, boost::asio::any_io_executor executor, handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &request_.fencing_token; }

private:
    park_request request_;
    std::string mark_;
    script_call script_{scripts::park()};
};

class settle_operation final : public called_operation<bool> {
public:
    settle_operation(settle_request request, std::string_view prefix, boost::asio::any_io_executor executor,
                     handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] std::size_t weight() const noexcept override;

private:
    settle_request request_;
    std::string mark_;
    script_call script_{scripts::settle()};
};

class abandon_operation final : public called_operation<nothing> {
public:
    abandon_operation(store_key const& key, fencing_token const& by, std::string_view prefix,
                      boost::asio::any_io_executor executor, handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;
    [[nodiscard]] fencing_token const* owner() const noexcept override { return &by_; }

private:
    fencing_token by_;
    std::string mark_;
    script_call script_{scripts::abandon()};
};

class peek_operation final : public called_operation<std::optional<record_info>> {
public:
    peek_operation(store_key const& key, std::string_view prefix, boost::asio::any_io_executor executor, handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;

private:
    std::string mark_;
    script_call script_{scripts::peek()};
};

/// DEL, which minds neither a foreign value nor a full server.
class forget_operation final : public called_operation<bool> {
public:
    forget_operation(store_key const& key, std::string_view prefix, boost::asio::any_io_executor executor,
                     handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;

private:
    std::string mark_;
};

}  // namespace idempo::redis
