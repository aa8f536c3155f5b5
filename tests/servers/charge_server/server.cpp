// SPDX-License-Identifier: MIT
#include "servers/charge_server/server.hpp"

#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/listener.hpp"
#include "servers/charge_server/sessions.hpp"
#include "servers/charge_server/stores.hpp"

#include <idempo/stores/open_store.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/system_error.hpp>

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::unique_ptr<sessions> make_sessions(session_setup& setup, asio::io_context& context) {
    switch (setup.flags.style) {
    case session_style::sync: return make_sync_sessions(setup);
    case session_style::callback: return make_callback_sessions(setup, context);
    case session_style::awaitable: break;
    }
    return make_awaitable_sessions(setup, context);
}

std::unique_ptr<listener> listen(asio::io_context& context, unsigned threads, tcp::endpoint const& endpoint,
                                 sessions& sessions) {
    try {
        return std::make_unique<listener>(context, threads, endpoint, sessions);
    } catch (boost::system::system_error const& error) {
        std::ostringstream sentence;
        sentence << "cannot listen on " << endpoint << ": " << error.code().message();
        throw std::runtime_error(sentence.str());
    }
}

/// An exception of a handler must not end the other connections.
void run(asio::io_context& context) {
    while (!context.stopped()) {
        try {
            context.run();
        } catch (std::exception const& error) {
            std::cerr << "charge_server: " << error.what() << std::endl;
        }
    }
}

class running_threads {
public:
    running_threads(asio::io_context& context, unsigned count) : context_(context) {
        for (unsigned started = 0; started < count; ++started) threads_.emplace_back([this] { run(context_); });
    }
    running_threads(running_threads const&) = delete;
    running_threads& operator=(running_threads const&) = delete;
    ~running_threads() {
        context_.stop();
        for (auto& thread : threads_) thread.join();
    }

private:
    asio::io_context& context_;
    std::vector<std::thread> threads_;
};

/// Many connections need as many file descriptors.
void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// There is no more time for handlers that sleep or clients that do not read, and their threads cannot be joined.
[[noreturn]] void give_up(std::size_t left) {
    std::cerr << "charge_server: gave up on " << left << " connections" << std::endl;
    std::_Exit(EXIT_SUCCESS);
}

}  // namespace

void migrate(server_flags const& flags) {
    auto const outcome = migrate_store(flags.store_url);
    std::cout << idempo::url_scheme(flags.store_url) << ": " << outcome << std::endl;
}

void serve(server_flags const& flags) {
    std::signal(SIGPIPE, SIG_IGN);  // the reader of the log may go away
    allow_many_files();

    check_store(flags.store_url);  // also where there is no middleware to open it
    session_setup setup(flags);
    unsigned const thread_count = flags.style == session_style::sync ? 1 : flags.threads;
    asio::io_context context(static_cast<int>(thread_count));
    auto const sessions = make_sessions(setup, context);
    auto const listener = listen(context, thread_count, {flags.address, flags.port}, *sessions);

    std::promise<void> told_to_stop;
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) { told_to_stop.set_value(); });
    running_threads const threads(context, thread_count);
    listener->start();
    std::cout << "listening on http://" << listener->local_endpoint() << std::endl;

    told_to_stop.get_future().wait();
    signals.clear();
    listener->stop();
    setup.registry.stop();
    if (auto const left = setup.registry.wait_until_empty(limits::drain_time); left > 0) give_up(left);
}
