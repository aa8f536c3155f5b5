// SPDX-License-Identifier: MIT
#include "support/pgbouncer.hpp"

#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/temporary_server.hpp"

#include <pqxx/connection>
#include <pqxx/except>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <sys/wait.h>

namespace idempo::tests {

pgbouncer::pgbouncer(postgres_server const& server, int server_connections)
    : directory_(make_server_directory("pgbouncer")) {
    std::ofstream(directory_ + "/users") << "\"idempo\" \"\"\n";
    std::ofstream(directory_ + "/configuration") << "[databases]\n"
                                                 << "postgres = host=" << server.directory() << "\n"
                                                 << "[pgbouncer]\n"
                                                 << "unix_socket_dir = " << directory_ << "\n"
                                                 << "listen_addr =\n"
                                                 << "auth_type = trust\n"
                                                 << "auth_file = " << directory_ << "/users\n"
                                                 << "pool_mode = transaction\n"
                                                 << "default_pool_size = " << server_connections << "\n";
    process_ = launch({"pgbouncer", directory_ + "/configuration"}, directory_ + "/log");
    poll_until([this] {
        try {
            return pqxx::connection(connection()).is_open();
        } catch (pqxx::failure const&) {
            return false;
        }
    });
}

pgbouncer::~pgbouncer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::string pgbouncer::connection() const { return "host=" + directory_ + " port=6432 user=idempo dbname=postgres"; }

}  // namespace idempo::tests
