// SPDX-License-Identifier: MIT
#include "common/ledger.hpp"

#include "common/random_id.hpp"

void ledger::start() {
    std::lock_guard const lock(mutex_);
    ++charges_.started;
}

std::string ledger::charge() {
    auto id = random_id("ch_");
    std::lock_guard const lock(mutex_);
    ++charges_.count;
    charges_.last.push_back(id);
    if (charges_.last.size() > remembered) charges_.last.pop_front();
    return id;
}

ledger::summary ledger::summarise() const {
    std::lock_guard const lock(mutex_);
    return charges_;
}
