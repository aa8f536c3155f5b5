// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "servers/charge_server/flags.hpp"

#include <boost/asio/ip/tcp.hpp>

/// \file
/// Responses of the server itself, when neither handler nor middleware answer.

/// The handler threw: the same 500 that the middleware answers in a call with a completion token.
[[nodiscard]] http_response answer_exception(idempo::options const& options, unsigned version, bool keep_alive);

/// Answers 503 and closes: there are too many connections, or the server is stopping.
void refuse_connection(boost::asio::ip::tcp::socket socket);
