// SPDX-License-Identifier: MIT
#include "support/charge_scene.hpp"

#include "support/catch.hpp"

namespace idempo::tests {

namespace {

std::vector<std::string> with_style(std::string const& style, std::initializer_list<std::string> flags) {
    std::vector<std::string> all{"--style", style};
    all.insert(all.end(), flags.begin(), flags.end());
    return all;
}

}  // namespace

std::string each_style() { return GENERATE(as<std::string>{}, "sync", "callback", "awaitable"); }

charge_scene::charge_scene(std::string const& style, std::initializer_list<std::string> flags)
    : server(with_style(style, flags)),
      client(server.port()) {}

std::size_t charge_scene::number(std::string_view name) {
    // Over a new connection: the server closes one that has been idle for long.
    auto const body = http_client(server.port()).get("/charges").body();
    return std::stoul(body.substr(body.find(name) + name.size()));
}

}  // namespace idempo::tests
