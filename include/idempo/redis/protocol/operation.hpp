#pragma once

#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>

#include <boost/intrusive/link_mode.hpp>
#include <boost/intrusive/list_hook.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace idempo::redis {

using time_point = std::chrono::steady_clock::time_point;

/// What the server is known to be able to do.
struct server_abilities {
    /// `SET … NX GET`, from Redis 7.0.
    bool set_nx_get = false;
};

/// What an operation makes of a reply.
enum class reading {
    /// The operation has its result.
    answered,
    /// It has its result, a record that was written: it counts when enough replicas have it.
    written,
    /// Enough replicas have all that was written before this command, or have it not.
    replicated,
    not_replicated,
    /// It has something else to ask before it has one: `append_command` again.
    ask_again,
    /// The reply is not one to this command, or this server can answer none: the connection must not be used again.
    wrong_connection,
};

/// One call of the store, from its submission to its answer. It knows its commands and what the replies mean; the
/// pipeline decides when to send them.
class operation : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// \param server_key what the commands name; empty where they name none
    explicit operation(store_key const& of, std::string server_key = {})
        : key_(of),
          server_key_(std::move(server_key)) {}
    operation(operation const&) = delete;
    operation& operator=(operation const&) = delete;
    virtual ~operation() = default;

    [[nodiscard]] store_key const& key() const noexcept { return key_; }
    [[nodiscard]] std::string const& server_key() const noexcept { return server_key_; }

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

    /// When the caller is told that it timed out: set by the first pipeline that it is submitted to.
    time_point deadline{};
    /// How often a node of a cluster has sent it to another one.
    unsigned redirections = 0;
    /// Whether ASKING has to be said before each of its commands.
    bool asks = false;
    /// Where it may be sent on: who does that lives as long.
    std::shared_ptr<void const> kept_alive;

private:
    store_key key_;
    std::string server_key_;
};

}  // namespace idempo::redis
