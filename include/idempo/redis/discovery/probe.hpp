// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/machine_runner.hpp>
#include <idempo/redis/discovery/probe_fsm.hpp>

#include <idempo/redis/options.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace idempo::redis {

/// Asks several servers one after the other until an answer will do. The machine decides everything; this is its
/// socket, its timer and its clock.
class probe : public std::enable_shared_from_this<probe>, private machine_runner<probe, probe_fsm> {
public:
    using on_reply = probe_fsm::on_reply;
    /// The server whose reply will do; nothing where there was none.
    using on_done = std::function<void(std::optional<redis_endpoint> const&)>;

    /// Both functions are called on the strand; `done` once, unless `cancel` was called before.
    static std::shared_ptr<probe> start(strand const& executor, question asked, on_reply accept, on_done done);

    /// On the strand: nothing is called from now on.
    void cancel();

    probe(strand const& executor, question asked, on_reply accept, on_done done);

private:
    using fsm = probe_fsm;
    using runner = machine_runner<probe, probe_fsm>;
    friend runner;

    void perform(fsm::dial const& wanted);
    void perform(fsm::write& wanted);
    void perform(fsm::hang_up const& wanted);
    void perform(fsm::finish const& wanted);
    void flush() {}
    void read_more(std::size_t server);

    on_done done_;
    std::array<char, 4096> incoming_{};
};

}  // namespace idempo::redis
