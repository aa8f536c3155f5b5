#pragma once

#include <idempo/redis/connection/pipeline.hpp>

#include <idempo/redis/connection/asking.hpp>
#include <idempo/redis/connection/replica_wait.hpp>

#include <iterator>
#include <utility>

namespace idempo::redis {

void pipeline::submit(std::unique_ptr<operation> submitted, time_point now) {
    if (submitted->deadline == time_point{}) submitted->deadline = now + timeout_;
    // The youngest, but for one that another server has sent here.
    auto place = unsettled_.end();
    while (place != unsettled_.begin() && std::prev(place)->deadline > submitted->deadline) --place;
    unsettled_.insert(place, *submitted);
    auto const [line, is_free] = busy_keys_.try_emplace(submitted->key());
    if (is_free) {
        ready_.push_back(std::move(submitted));
        return;
    }
    if (!line->second) line->second = std::make_unique<queue>();
    queue_by_age(std::move(submitted), *line->second);
}

void pipeline::queue_by_age(std::unique_ptr<operation> submitted, queue& line) {
    auto place = line.end();
    while (place != line.begin() && (*std::prev(place))->deadline > submitted->deadline) --place;
    line.insert(place, std::move(submitted));
}

std::unique_ptr<operation> pipeline::take_ready() {
    while (!ready_.empty()) {
        auto next = std::move(ready_.front());
        ready_.pop_front();
        if (!next->is_settled()) return next;
        drop(std::move(next));
    }
    return nullptr;
}

void pipeline::send(std::string& to, server_abilities abilities, time_point now) {
    while (auto next = take_ready()) {
        if (next->asks) send_own(std::make_unique<asking>(), to, abilities, now);
        next->append_command(to, abilities);
        sent_.push_back(std::move(next));
    }
    if (uncovered_ > 0) wait_for_replicas(to, abilities, now);
}

void pipeline::wait_for_replicas(std::string& to, server_abilities abilities, time_point now) {
    auto wait = std::make_unique<replica_wait>(replicas_, std::exchange(uncovered_, 0));
    send_own(std::move(wait), to, abilities, now);
}

void pipeline::send_own(std::unique_ptr<operation> own, std::string& to, server_abilities abilities, time_point now) {
    ++places_;
    own->deadline = now + timeout_;
    own->append_command(to, abilities);
    sent_.push_back(std::move(own));
}

bool pipeline::receive(reply_view answer) {
    if (sent_.empty()) return false;  // an answer to nothing
    auto asked = std::move(sent_.front());
    sent_.pop_front();
    if (answer.is_error() && answer.text().starts_with("CLUSTERDOWN")) is_cluster_down_ = true;
    if (answer.is_error() && !asked->is_settled()) {
        if (auto const where = read_redirection(answer.text())) {
            send_away(std::move(asked), *where);
            return true;
        }
    }
    // Also where nobody waits: a reply out of step is one for all that follow.
    auto const outcome = asked->read(answer);
    bool const goes_on = outcome != reading::wrong_connection;
    if (outcome == reading::replicated || outcome == reading::not_replicated) {
        settle_written(static_cast<replica_wait const&>(*asked).covered(), outcome == reading::replicated);
    } else if (asked->is_settled()) {
        // Nobody waits for it.
    } else if (outcome == reading::ask_again) {
        ready_.push_front(std::move(asked));
        return true;
    } else if (outcome == reading::written && replicas_.count > 0) {
        written_.push_back(std::move(asked));
        ++uncovered_;
        return true;
    } else if (goes_on) {
        settle(*asked);
    } else {
        settle_with(*asked, error::store_unavailable);
    }
    drop(std::move(asked));
    return goes_on;
}

void pipeline::send_away(std::unique_ptr<operation> misdirected, redirection where) {
    misdirected->unlink();
    release(misdirected->key());
    --places_;
    misdirected_.push_back({std::move(misdirected), std::move(where)});
}

std::vector<misdirected_operation> pipeline::take_misdirected() { return std::exchange(misdirected_, {}); }

std::vector<std::unique_ptr<operation>> pipeline::take_unsent() {
    std::vector<std::unique_ptr<operation>> unsent;
    while (auto next = take_ready()) {
        next->unlink();
        release(next->key());  // the next of its key is ready now
        --places_;
        unsent.push_back(std::move(next));
    }
    return unsent;
}

void pipeline::settle_written(std::size_t count, bool is_replicated) {
    for (; count > 0; --count) {
        auto known = std::move(written_.front());
        written_.pop_front();
        if (!known->is_settled()) is_replicated ? settle(*known) : settle_with(*known, error::store_unavailable);
        drop(std::move(known));
    }
}

bool pipeline::expire(time_point now) {
    bool expired = false;
    for (; !unsettled_.empty() && unsettled_.front().deadline <= now; expired = true) {
        settle_with(unsettled_.front(), error::store_timed_out);
    }
    return expired;
}

bool pipeline::is_overdue(time_point now) const { return !sent_.empty() && sent_.front()->deadline + timeout_ <= now; }

std::optional<time_point> pipeline::next_deadline() const {
    std::optional<time_point> next;
    if (!unsettled_.empty()) next = unsettled_.front().deadline;
    if (!sent_.empty() && (!next || sent_.front()->deadline + timeout_ < *next)) {
        next = sent_.front()->deadline + timeout_;
    }
    return next;
}

void pipeline::disconnect() {
    uncovered_ = 0;
    settle_written(written_.size(), false);
    for (auto lost = std::exchange(sent_, {}); auto& each : lost) {
        if (!each->is_settled()) settle_with(*each, error::store_unavailable);
        drop(std::move(each));
    }
}

void pipeline::fail_all(error_code error) {
    disconnect();
    while (!unsettled_.empty()) settle_with(unsettled_.front(), error);
    while (!ready_.empty()) {
        drop(std::move(ready_.front()));
        ready_.pop_front();
    }
}

void pipeline::settle(operation& answered) {
    answered.unlink();
    answered.settle();
    release(answered.key());
}

void pipeline::settle_with(operation& failed, error_code error) {
    failed.unlink();
    failed.fail(error);
    release(failed.key());
}

// What is settled holds its key, or is the first behind the one that does: the oldest is settled first, and those that
// wait are in that order. (One that is older than the holder was sent here by another server.) The first is then taken
// for the holder, and dropped instead of being sent.
void pipeline::release(store_key const& key) {
    auto const line = busy_keys_.find(key);
    if (line == busy_keys_.end()) return;
    auto* const waiting = line->second.get();
    if (waiting == nullptr || waiting->empty()) {
        busy_keys_.erase(line);
        return;
    }
    ready_.push_back(std::move(waiting->front()));
    waiting->pop_front();
}

void pipeline::drop(std::unique_ptr<operation> dropped) {
    dropped.reset();
    --places_;
}

}  // namespace idempo::redis
