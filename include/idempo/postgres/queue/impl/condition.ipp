// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/condition.hpp>

namespace idempo::postgres {

void condition::notify_one() noexcept { threads_.notify_one(); }

void condition::notify_all() noexcept { threads_.notify_all(); }

void condition::wait(std::unique_lock<std::mutex>& lock) { threads_.wait(lock); }

void condition::wait_until(std::unique_lock<std::mutex>& lock, time_point end) { threads_.wait_until(lock, end); }

}  // namespace idempo::postgres
