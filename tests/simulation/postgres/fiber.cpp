// SPDX-License-Identifier: MIT
#include "simulation/postgres/fiber.hpp"

#include "simulation/virtual_timer.hpp"

#include <boost/asio/post.hpp>

#include <cstring>
#include <cxxabi.h>
#include <exception>
#include <stdexcept>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define IDEMPO_FIBERS_UNDER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define IDEMPO_FIBERS_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IDEMPO_FIBERS_UNDER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define IDEMPO_FIBERS_UNDER_TSAN 1
#endif
#endif
#ifdef IDEMPO_FIBERS_UNDER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef IDEMPO_FIBERS_UNDER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace idempo::simulation {

namespace {

constexpr std::size_t stack_size = std::size_t{256} << 10U;

thread_local fiber* current = nullptr;
thread_local fiber_room* current_room = nullptr;
/// Worlds come and go; their stacks are used again.
thread_local std::vector<std::unique_ptr<std::byte[]>> unused_stacks;

std::unique_ptr<std::byte[]> take_stack() {
    if (unused_stacks.empty()) return std::unique_ptr<std::byte[]>(new std::byte[stack_size]);
    auto taken = std::move(unused_stacks.back());
    unused_stacks.pop_back();
    return taken;
}

/// AddressSanitizer knows the stack of a thread, and is told of others.
void leave_stack([[maybe_unused]] void** save, [[maybe_unused]] void const* to, [[maybe_unused]] std::size_t size) {
#ifdef IDEMPO_FIBERS_UNDER_ASAN
    __sanitizer_start_switch_fiber(save, to, size);
#endif
}

void enter_stack([[maybe_unused]] void* saved, [[maybe_unused]] void const** from, [[maybe_unused]] std::size_t* size) {
#ifdef IDEMPO_FIBERS_UNDER_ASAN
    __sanitizer_finish_switch_fiber(saved, from, size);
#endif
}

/// ThreadSanitizer knows a fiber by a handle.
void* new_handle() {
#ifdef IDEMPO_FIBERS_UNDER_TSAN
    return __tsan_create_fiber(0);
#else
    return nullptr;
#endif
}

void* handle_of_running() {
#ifdef IDEMPO_FIBERS_UNDER_TSAN
    return __tsan_get_current_fiber();
#else
    return nullptr;
#endif
}

void switch_to_handle([[maybe_unused]] void* handle) {
#ifdef IDEMPO_FIBERS_UNDER_TSAN
    __tsan_switch_to_fiber(handle, 0);
#endif
}

void destroy_handle([[maybe_unused]] void* handle) {
#ifdef IDEMPO_FIBERS_UNDER_TSAN
    __tsan_destroy_fiber(handle);
#endif
}

}  // namespace

fiber::fiber(std::function<void()> body) : body_(std::move(body)), stack_(take_stack()), handle_(new_handle()) {
    ::getcontext(&own_);
    own_.uc_stack.ss_sp = stack_.get();
    own_.uc_stack.ss_size = stack_size;
    own_.uc_link = nullptr;
    ::makecontext(&own_, &fiber::run, 0);
}

fiber::~fiber() {
    if (turn_ > 0 && !has_ended_) std::terminate();
    destroy_handle(handle_);
    unused_stacks.push_back(std::move(stack_));
}

fiber* fiber::running() noexcept { return current; }

void fiber::run() {
    auto& self = *current;
    enter_stack(nullptr, &self.resumers_stack_, &self.resumers_size_);
    self.body_();
    self.body_ = nullptr;
    self.has_ended_ = true;
    self.switch_back();
}

void fiber::resume() {
    if (current != nullptr) throw std::logic_error("a fiber cannot go on inside of another");
    if (has_ended_) return;
    auto const keep = shared_from_this();
    ++turn_;
    current = this;
    switch_to_fiber();
    current = nullptr;
}

void fiber::suspend() { current->switch_back(); }

void fiber::switch_to_fiber() {
    auto* const globals = reinterpret_cast<exceptions*>(abi::__cxa_get_globals());
    std::swap(*globals, exceptions_);
    void* save = nullptr;
    leave_stack(&save, stack_.get(), stack_size);
    resumers_handle_ = handle_of_running();
    switch_to_handle(handle_);
    ::swapcontext(&resumer_, &own_);
    enter_stack(save, nullptr, nullptr);
    std::swap(*globals, exceptions_);
}

void fiber::switch_back() {
    leave_stack(has_ended_ ? nullptr : &sanitizers_stack_, resumers_stack_, resumers_size_);
    switch_to_handle(resumers_handle_);
    ::swapcontext(&own_, &resumer_);
    enter_stack(sanitizers_stack_, &resumers_stack_, &resumers_size_);
}

std::shared_ptr<fiber> fiber_room::start(std::function<void()> body) {
    auto made = std::make_shared<fiber>(std::move(body));
    wake(made, made->turn());
    return made;
}

void fiber_room::go_on(fiber& which) {
    current_room = this;
    which.resume();
    current_room = nullptr;
}

fiber_room& fiber_room::of_running() { return *current_room; }

void fiber_room::wake(std::weak_ptr<fiber> const& which, std::uint64_t turn) {
    boost::asio::post(process(), [this, which, turn] {
        auto const waits = which.lock();
        if (waits && waits->turn() == turn) go_on(*waits);
    });
}

void fiber_room::wait(std::optional<time_point> until) {
    auto& timers = boost::asio::use_service<timer_room>(context());
    struct alarm final : timer_room::waiting {
        void finish(boost::system::error_code error) override {
            *is_set = false;
            auto const waits = which.lock();
            if (!error && waits && waits->turn() == turn) room->go_on(*waits);
        }
        ~alarm() override { *is_set = false; }

        fiber_room* room = nullptr;
        std::weak_ptr<fiber> which;
        std::uint64_t turn = 0;
        std::shared_ptr<bool> is_set;
    };
    auto const is_set = std::make_shared<bool>(false);
    timer_room::queue::iterator place;
    if (until) {
        auto made = std::make_unique<alarm>();
        made->room = this;
        made->which = fiber::running()->weak_from_this();
        made->turn = fiber::running()->turn();
        made->is_set = is_set;
        place = timers.add(*until, std::move(made));
        *is_set = true;
    }
    fiber::suspend();
    if (*is_set) timers.finish(place, boost::asio::error::operation_aborted);
}

void fiber_room::finish(fiber& which) {
    constexpr int most = 100'000;
    for (int turns = 0; !which.has_ended(); ++turns) {
        if (turns == most) throw std::logic_error("a fiber does not end");
        go_on(which);
    }
}

}  // namespace idempo::simulation
