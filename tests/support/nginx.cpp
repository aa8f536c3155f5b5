// SPDX-License-Identifier: MIT
#include "support/nginx.hpp"

#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/temporary_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <sys/wait.h>

namespace idempo::tests {

namespace {

std::uint16_t free_port() {
    boost::asio::io_context context;
    return boost::asio::ip::tcp::acceptor(context, {boost::asio::ip::address_v4::loopback(), 0})
        .local_endpoint()
        .port();
}

std::string configuration(std::string const& directory, std::uint16_t port, std::vector<std::uint16_t> const& servers) {
    // In the foreground and in one process, which dies with the test; all files in the directory.
    std::string text = "daemon off; master_process off; pid " + directory +
                       "/pid; error_log stderr;\n"
                       "events {}\nhttp {\naccess_log off;\n";
    for (std::string const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
        text += kind + "_temp_path " + directory + "/" + kind + ";\n";
    }
    text += "upstream orders {\n";
    for (auto const server : servers) {
        text += "server 127.0.0.1:" + std::to_string(server) + " max_fails=1 fail_timeout=1s;\n";
    }
    text += "}\nserver {\nlisten 127.0.0.1:" + std::to_string(port) +
            ";\n"
            "location / { proxy_pass http://orders; proxy_next_upstream error timeout non_idempotent; }\n}\n}\n";
    return text;
}

}  // namespace

nginx::nginx(std::vector<std::uint16_t> const& servers)
    : directory_(make_server_directory("nginx")),
      port_(free_port()) {
    std::ofstream(directory_ + "/configuration") << configuration(directory_, port_, servers);
    process_ =
        launch({"nginx", "-e", "stderr", "-p", directory_, "-c", directory_ + "/configuration"}, directory_ + "/log");
    poll_until([this] {
        try {
            return http_client(port_).get("/healthz").result_int() == 200;
        } catch (std::exception const&) {
            return false;
        }
    });
}

nginx::~nginx() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

bool nginx::is_there() { return std::filesystem::exists("/usr/sbin/nginx"); }

}  // namespace idempo::tests
