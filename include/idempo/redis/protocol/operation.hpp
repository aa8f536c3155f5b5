// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/key_slot.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>

#include <boost/intrusive/link_mode.hpp>
#include <boost/intrusive/list_hook.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::redis {

using time_point = std::chrono::steady_clock::time_point;

/// What the server is known to be able to do.
struct server_abilities {
    /// `SET … NX GET`, from Redis 7.0.
    bool set_nx_get = false;
    /// The source of the scripts has been sent to it since it last said that it knows none: their digest will do.
    bool has_scripts = false;
};

/// What an operation makes of a reply.
enum class reading {
    /// The operation has its result.
    answered,
    /// The result is a record that was written: it counts when enough replicas have it.
    written,
    /// The operation needs its second step: `append_command` again.
    ask_again,
    /// The result is a large record, which is still to be fetched: `append_command` again when there is room for it.
    fetch,
    /// The server does not know the script, and has done nothing: `append_command` again, which sends the source unless
    /// another operation has done so.
    script_unknown,
    /// The reply does not belong to this command, or this server cannot answer any: stop using the connection.
    wrong_connection,
};

/// How an operation may be queued.
enum class operation_kind {
    /// Claim, peek and forget: in the order in which the operations of its key were submitted. Not sent when no time is
    /// left for the answer.
    ordered,
    /// Renew, Complete and Abandon: as `ordered`, but ahead of other clients' claims when the connection is congested.
    /// Room is reserved for them, and they have their effect also where nobody waits for the answer.
    holder,
    /// In any order: a rate limiter's take, a health check.
    unordered,
};

/// One call of the store, from its submission to its answer. It knows its commands and what the replies mean; the
/// pipeline decides when to send them.
class operation : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// \param server_key what the commands name; empty where they name none
    explicit operation(store_key const& of, std::string server_key = {}, operation_kind kind = operation_kind::ordered)
        : key_(of),
          server_key_(std::move(server_key)),
          kind_(kind) {}
    operation(operation const&) = delete;
    operation& operator=(operation const&) = delete;
    virtual ~operation() = default;

    [[nodiscard]] store_key const& key() const noexcept { return key_; }
    [[nodiscard]] std::string const& server_key() const noexcept { return server_key_; }

    /// Which node of a cluster it is for: the primary of this slot.
    [[nodiscard]] virtual std::uint16_t slot() const { return key_slot(server_key_); }

    [[nodiscard]] operation_kind kind() const noexcept { return kind_; }

    /// The token of the caller that holds or wants the record; null where the operation has none.
    [[nodiscard]] virtual fencing_token const* owner() const noexcept { return nullptr; }

    /// What it keeps in memory until it is dropped, in bytes, roughly. Constant.
    [[nodiscard]] virtual std::size_t weight() const noexcept { return base_weight + server_key_.size(); }

    /// The size of the large record that its next command stores or fetches; 0 where that moves none.
    [[nodiscard]] virtual std::size_t record_bytes() const noexcept { return 0; }

    /// Which large record it is to fetch; empty where it fetches none. Operations of one key that want the same can
    /// share one reply.
    [[nodiscard]] virtual std::string_view wanted_record() const noexcept { return {}; }

    /// Takes over the record that another operation has read. False: that has read none.
    /// \pre both wanted the same record
    [[nodiscard]] virtual bool share(operation const&) { return false; }

    /// Whether the command appended last may need a second one.
    [[nodiscard]] virtual bool is_in_first_step() const noexcept { return false; }

    /// Makes the next `append_command` append the second step, whatever the first is answered. That reply is dropped.
    /// \pre is_in_first_step()
    virtual void skip_to_second_step() {}

    /// Appends what it asks next.
    virtual void append_command(std::string& to, server_abilities abilities) = 0;

    /// Understands the reply to what it asked last.
    [[nodiscard]] virtual reading read(reply_view answer) = 0;

    /// Tells the caller what was read. \pre `read` said `answered` or `written`, and nothing has settled it
    virtual void settle() = 0;

    /// Tells the caller that it failed. \pre nothing has settled it
    virtual void fail(error_code error) = 0;

    /// Whether the caller has been told; such an operation only keeps its place among the expected replies.
    [[nodiscard]] virtual bool is_settled() const noexcept = 0;

    /// When the caller is told that it timed out: set by the first pipeline that it is submitted to. Where large
    /// records keep coming it moves on, until `last_deadline`.
    time_point deadline{};
    time_point last_deadline{};
    /// How often a node of a cluster has sent it to another one.
    unsigned redirections = 0;
    /// Whether ASKING has to be said before each of its commands.
    bool asks = false;
    /// Whether its next command brings the source of the scripts; the pipeline keeps this.
    bool brings_scripts = false;
    /// Where it may be sent on: who does that lives as long.
    std::shared_ptr<void const> kept_alive;
    /// How far it has come; the pipeline keeps this.
    enum class progress { unsent, first_step, sent, fetching };
    progress stage = progress::unsent;

private:
    static constexpr std::size_t base_weight = 256;

    store_key key_;
    std::string server_key_;
    operation_kind kind_;
};

}  // namespace idempo::redis
