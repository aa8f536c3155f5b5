// SPDX-License-Identifier: MIT
#include "support/redis_server.hpp"

#include "support/patience.hpp"
#include "support/poll_until.hpp"
#include <idempo/redis/protocol/resp_codec.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace idempo::tests {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string make_directory() {
    auto name = (std::filesystem::temp_directory_path() / "idempo-redis-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    return name;
}

/// Between fork and exec only async-signal-safe calls are allowed: no allocation, so the arguments are ready.
[[noreturn]] void become(char* const* arguments, int log) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execvp(arguments[0], arguments);
    ::_exit(127);
}

std::string printed(redis::reply_view reply) {
    if (reply.is_integer()) return std::to_string(reply.integer());
    if (!reply.is_array()) return std::string(reply.text());
    std::string all;
    for (std::size_t i = 0; i < reply.size(); ++i) all += (i == 0 ? "" : " ") + printed(reply[i]);
    return all;
}

/// As the member of the socket, but a server that has stopped ends in an exception, not in a test that never ends.
std::size_t read_some(asio::io_context& context, asio::local::stream_protocol::socket& socket,
                      asio::mutable_buffer to) {
    error_code error = asio::error::timed_out;
    std::size_t size = 0;
    socket.async_read_some(to, [&](error_code result, std::size_t read) {
        error = result;
        size = read;
    });
    context.restart();
    context.run_for(patience);
    if (!error) return size;
    bool const is_silent = error == asio::error::timed_out;
    socket.close();
    context.run();  // the handler refers to this call
    if (is_silent) throw std::runtime_error("Redis does not answer");
    throw boost::system::system_error(error);
}

}  // namespace

std::uint16_t free_port() {
    asio::io_context context;
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    return acceptor.local_endpoint().port();
}

redis_server::redis_server(std::vector<std::string> flags, std::string const& configuration,
                           std::vector<std::string> environment)
    : flags_(std::move(flags)),
      environment_(std::move(environment)),
      directory_(make_directory()),
      port_(free_port()) {
    if (!configuration.empty()) {
        configuration_path_ = directory_ + "/configuration";
        std::ofstream(configuration_path_) << configuration;
    }
    start();
}

redis_server::~redis_server() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::string redis_server::log() const {
    std::ifstream file(directory_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
}

void redis_server::add_flags(std::vector<std::string> const& more) {
    flags_.insert(flags_.end(), more.begin(), more.end());
}

void redis_server::send_signal(int signal) const { ::kill(process_, signal); }

void redis_server::kill() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
}

void redis_server::start(bool waits) {
    bool const has_tls = std::find(flags_.begin(), flags_.end(), "--tls-cert-file") != flags_.end();
    std::vector<std::string> words{"env"};
    words.insert(words.end(), environment_.begin(), environment_.end());
    words.emplace_back("redis-server");
    if (!configuration_path_.empty()) words.push_back(configuration_path_);
    words.insert(words.end(), {"--bind", "127.0.0.1", has_tls ? "--tls-port" : "--port", std::to_string(port_), "--dir",
                               directory_, "--unixsocket", unix_path(), "--save", ""});
    if (has_tls) words.insert(words.end(), {"--port", "0"});
    words.insert(words.end(), flags_.begin(), flags_.end());
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    auto const log = ::open((directory_ + "/log").c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    process_ = ::fork();
    if (process_ == 0) become(arguments.data(), log);
    ::close(log);
    if (process_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (waits) wait_until_ready();
}

void redis_server::wait_until_ready() const {
    poll_until([this] {
        try {
            // Even "NOAUTH" means that it has loaded its data.
            auto const answer = ask({"PING"});
            return answer == "PONG" || answer.starts_with("NOAUTH");
        } catch (std::exception const&) {
            return false;
        }
    });
}

std::string redis_server::ask(std::initializer_list<std::string_view> words) const {
    asio::io_context context;
    asio::local::stream_protocol::socket socket(context);
    socket.connect({unix_path()});
    std::string command;
    redis::append_command(command, words);
    asio::write(socket, asio::buffer(command));
    redis::reply_reader reader;
    std::array<char, 4096> bytes{};
    while (true) {
        reader.feed({bytes.data(), read_some(context, socket, asio::buffer(bytes))});
        if (auto const reply = reader.next()) return printed(redis::reply_view(reply.get()));
        if (reader.is_broken()) throw std::runtime_error("not an answer of Redis");
    }
}

std::string info_field(std::string_view info, std::string_view name) {
    auto const line = info.find("\r\n" + std::string(name) + ":");
    if (line == std::string_view::npos) return {};
    auto const value = info.substr(line + name.size() + 3);
    return std::string(value.substr(0, value.find("\r\n")));
}

}  // namespace idempo::tests
