// SPDX-License-Identifier: MIT
#include "simulation/postgres/fiber.hpp"

#include <idempo/postgres/connection/context_threads.hpp>
#include <idempo/postgres/queue/condition.hpp>

#include <algorithm>
#include <utility>
#include <vector>

/// \file
/// Threads and conditions of the store, in virtual time: what stands for `context_threads.ipp` and `condition.ipp`.

namespace idempo::simulation {

namespace {

struct waiting_fiber {
    postgres::condition const* what = nullptr;
    fiber_room* room = nullptr;
    std::weak_ptr<fiber> which{};
    std::uint64_t turn = 0;
    bool is_told = false;
};

/// Of all processes of this world.
thread_local std::vector<waiting_fiber> waiting;

void notify(postgres::condition const& what, bool all) {
    for (auto& each : waiting) {
        if (each.what != &what || std::exchange(each.is_told, true)) continue;
        each.room->wake(each.which, each.turn);
        if (!all) return;
    }
}

void wait_for(postgres::condition const& what, std::unique_lock<std::mutex>& lock,
              std::optional<fiber_room::time_point> end) {
    auto& room = fiber_room::of_running();
    auto const* const self = fiber::running();
    waiting.push_back({&what, &room, fiber::running()->weak_from_this(), self->turn()});
    lock.unlock();
    room.wait(end);
    lock.lock();
    std::erase_if(waiting, [&](waiting_fiber const& each) { return each.which.lock().get() == self; });
}

/// The fibers of one context, each beside the thread that it stands for.
class fibers_of_threads : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    explicit fibers_of_threads(boost::asio::execution_context& context) : service(context) {}

    struct running {
        std::function<void()> stop;
        std::shared_ptr<fiber> run;
    };
    std::vector<running> all;

private:
    void shutdown() override {}
};

}  // namespace

}  // namespace idempo::simulation

namespace idempo::postgres {

using namespace idempo::simulation;

void condition::notify_one() noexcept { notify(*this, false); }

void condition::notify_all() noexcept { notify(*this, true); }

void condition::wait(std::unique_lock<std::mutex>& lock) { simulation::wait_for(*this, lock, std::nullopt); }

void condition::wait_until(std::unique_lock<std::mutex>& lock, time_point end) {
    simulation::wait_for(*this, lock, end);
}

boost::asio::execution_context::id context_threads::id;

void context_threads::start(std::function<void()> run, std::function<void()> stop) {
    auto& room = boost::asio::use_service<fiber_room>(context());
    auto& started = boost::asio::use_service<fibers_of_threads>(context()).all;
    std::erase_if(started, [](auto const& each) { return each.run->has_ended(); });
    started.push_back({std::move(stop), room.start(std::move(run))});
}

void context_threads::shutdown() {
    auto& room = boost::asio::use_service<fiber_room>(context());
    auto const left = std::exchange(boost::asio::use_service<fibers_of_threads>(context()).all, {});
    for (auto const& each : left) each.stop();
    for (auto const& each : left) room.finish(*each.run);
}

}  // namespace idempo::postgres
