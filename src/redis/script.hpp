#pragma once

#include <string_view>

namespace idempo::redis {

/// A Lua script and the digest that Redis knows it by. Both are constants: the build reads src/redis/*.lua.
struct script {
    /// Lower-case hexadecimal digits.
    std::string_view sha1;
    std::string_view source;
};

/// Generated from the .lua files, each behind record.lua.
namespace scripts {

extern script const abandon;
extern script const claim;
extern script const complete;
extern script const peek;
extern script const renew;
extern script const take;

}  // namespace scripts

}  // namespace idempo::redis
