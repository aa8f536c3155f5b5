// SPDX-License-Identifier: MIT
#include <idempo/redis/operations/script_call.hpp>

#include "support/catch.hpp"

#include <idempo/error.hpp>

#include <string>

using namespace idempo::redis;

namespace {

script const some_script{"take", "return 1", "0123456789012345678901234567890123456789"};

std::string command_of(script_call& call, bool has_scripts) {
    std::string command;
    call.append(command, {.has_scripts = has_scripts}, "key");
    return command;
}

reading refused(script_call& call, idempo::error_code& error) {
    reply_reader reader;
    reader.feed("-NOSCRIPT No matching script. Please use EVAL.\r\n");
    auto const found = reader.next();
    return call.read_error(reply_view(found.get()), error);
}

bool has_source(std::string const& command) {
    bool const has = command.find("\r\nEVAL\r\n") != std::string::npos;
    CHECK((command.find(some_script.source) != std::string::npos) == has);
    CHECK((command.find(some_script.sha1) != std::string::npos) == !has);
    return has;
}

}  // namespace

TEST_CASE("redis script: it is called by its digest until the server does not know it") {
    script_call call(some_script);
    idempo::error_code error;
    CHECK_FALSE(has_source(command_of(call, false)));
    CHECK(refused(call, error) == reading::script_unknown);
    CHECK(has_source(command_of(call, false)));
    // A server that knows no script that it has just been sent keeps none.
    CHECK(refused(call, error) == reading::answered);
    CHECK(error == idempo::error::store_unavailable);
}

TEST_CASE("redis script: the digest will do where another call has brought the source, and once only") {
    script_call call(some_script);
    idempo::error_code error;
    static_cast<void>(command_of(call, false));
    CHECK(refused(call, error) == reading::script_unknown);
    CHECK_FALSE(has_source(command_of(call, true)));
    CHECK(refused(call, error) == reading::script_unknown);
    CHECK_FALSE(error);
    CHECK(has_source(command_of(call, true)));
    CHECK(refused(call, error) == reading::answered);
    CHECK(error == idempo::error::store_unavailable);
}
