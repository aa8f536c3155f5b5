// SPDX-License-Identifier: MIT
#include "simulation/redis/reply.hpp"

namespace idempo::simulation {

namespace {

constexpr std::string_view line_end = "\r\n";

void append_line(std::string& to, char kind, std::string_view text) {
    to.append(1, kind).append(text).append(line_end);
}

struct writer {
    std::string& to;

    void operator()(redis_reply::nil) const { append_line(to, '$', "-1"); }
    void operator()(redis_reply::status const& status) const { append_line(to, '+', status.text); }
    void operator()(redis_reply::error const& error) const { append_line(to, '-', error.text); }
    void operator()(long long number) const { append_line(to, ':', std::to_string(number)); }
    void operator()(std::string const& text) const {
        append_line(to, '$', std::to_string(text.size()));
        to.append(text).append(line_end);
    }
    void operator()(redis_reply::array const& elements) const {
        append_line(to, '*', std::to_string(elements.size()));
        for (auto const& each : elements) append(to, each);
    }
};

}  // namespace

void append(std::string& to, redis_reply const& reply) { std::visit(writer{to}, reply.value); }

}  // namespace idempo::simulation
