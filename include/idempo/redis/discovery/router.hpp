// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/operation.hpp>

#include <cstdint>
#include <memory>
#include <optional>

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

    /// Whether a command may have keys of different slots. Any thread may call it.
    [[nodiscard]] virtual bool takes_many_keys() const noexcept { return true; }

    /// The first slot from `slot` on that is the first of its primary, so that whoever begins with slot 0 and asks for
    /// the next one after each comes to every primary once. Empty behind the last. Any thread may call it.
    [[nodiscard]] virtual std::optional<std::uint16_t> next_primary(std::uint16_t slot) const {
        return slot == 0 ? std::optional<std::uint16_t>(slot) : std::nullopt;
    }
};

}  // namespace idempo::redis
