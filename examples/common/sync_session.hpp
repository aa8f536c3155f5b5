// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <system_error>
#include <thread>
#include <utility>

/// \file
/// A thread for each connection, and a handle that is called like the function that it wraps.

template <class Handle>
void answer_requests(boost::asio::ip::tcp::socket& socket, Handle const& handle) {
    namespace http = boost::beast::http;
    boost::beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request<http::string_body> request;
        boost::beast::error_code error;
        idempo::read_request(socket, buffer, request, {.answer_expect = true}, error);
        if (error) {
            auto answer = idempo::answer_read_error(error, request);
            if (answer) idempo::answer_and_close(socket, std::move(*answer), error);
            return;
        }
        http::message_generator message = handle(std::move(request));  // what was: handle_request(std::move(request))
        keep_alive = message.keep_alive();
        boost::beast::write(socket, std::move(message));
    }
}

template <class Handle>
void run_session(boost::asio::ip::tcp::socket socket, Handle const& handle) {
    try {
        answer_requests(socket, handle);
    } catch (std::exception const& error) {  // a client that went away, or what the handler threw
        std::cerr << error.what() << std::endl;
    }
}

/// Accepts connections for ever. Where descriptors or threads have run out, it waits until some are free: a server that
/// ends or spins then can be ended or slowed by any client.
template <class Handle>
void serve_forever(boost::asio::ip::tcp::acceptor& acceptor, Handle const& handle) {
    constexpr std::chrono::milliseconds pause{50};
    while (true) {
        boost::beast::error_code error;
        auto socket = acceptor.accept(error);
        if (error) {
            std::this_thread::sleep_for(pause);
            continue;
        }
        try {
            // Detached, to be short: charge_server joins its threads.
            std::thread([&handle, socket = std::move(socket)]() mutable {
                run_session(std::move(socket), handle);
            }).detach();
        } catch (std::system_error const&) {
            std::this_thread::sleep_for(pause);
        }
    }
}
