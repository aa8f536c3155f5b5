// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/operation.hpp>

#include <memory>

namespace idempo::redis {

/// Which operation takes which connection. When the router goes, what is pending is still answered, and then the
/// connections close; nothing waits for that.
class router {
public:
    router() = default;
    router(router const&) = delete;
    router& operator=(router const&) = delete;
    virtual ~router() = default;

    /// Any thread may call it. All operations of a key take the same way, and with it keep their order.
    virtual void submit(std::unique_ptr<operation> submitted) = 0;
};

}  // namespace idempo::redis
