// SPDX-License-Identifier: MIT
#include "support/postgres_server.hpp"

#include "support/poll_until.hpp"
#include "support/temporary_server.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/options.hpp>

#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/result>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

namespace idempo::tests {

namespace {

namespace fs = std::filesystem;

std::string program(std::string const& name) {
    static std::string const directory = output_of("pg_config --bindir");
    return directory + "/" + name;
}

/// As the user of the servers.
void run_to_end(std::vector<std::string> words, std::string const& log_path) {
    int status = 0;
    ::waitpid(launch(words, log_path), &status, 0);
    if (status != 0) throw std::runtime_error(words.front() + " failed: " + content_of(log_path));
}

void make_cluster(std::string const& directory) {
    run_to_end({program("initdb"), "--pgdata=" + directory + "/data", "--auth=trust", "--username=idempo",
                "--encoding=UTF8", "--no-sync"},
               directory + "/log");
}

void copy(std::string const& from, std::string const& to) {
    if (std::system(("cp -a '" + from + "' '" + to + "'").c_str()) != 0) {
        throw std::runtime_error("cannot copy " + from);
    }
}

/// A directory that is deleted with this object.
class temporary_cluster {
public:
    temporary_cluster() : directory_(make_server_directory("template")) { make_cluster(directory_); }
    temporary_cluster(temporary_cluster const&) = delete;
    temporary_cluster& operator=(temporary_cluster const&) = delete;
    ~temporary_cluster() {
        std::error_code ignored;
        fs::remove_all(directory_, ignored);
    }
    [[nodiscard]] std::string data() const { return directory_ + "/data"; }

private:
    std::string directory_;
};

/// Each test is a process, and initdb takes seconds: they share a template in the build directory, which the first of
/// them makes. initdb runs as another user, who may not enter that directory; hence the copy.
std::string shared_template(std::string const& parent) {
    fs::create_directories(parent);
    auto const lock = ::open((parent + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock < 0 || ::flock(lock, LOCK_EX) != 0) throw std::system_error(errno, std::generic_category(), "flock");
    auto const name =
        parent + "/" + std::to_string(std::hash<std::string>()(output_of(program("initdb") + " --version")));
    if (!fs::exists(name)) {
        copy(temporary_cluster().data(), name + ".part");
        fs::rename(name + ".part", name);
    }
    ::close(lock);
    return name;
}

/// The data of a new cluster, to be copied for each server.
std::string const& template_data() {
    static std::string const shared = [] {
        auto const* const parent = std::getenv("IDEMPO_POSTGRES_TEMPLATES");
        return parent == nullptr ? std::string() : shared_template(parent);
    }();
    if (!shared.empty()) return shared;
    static temporary_cluster const own;
    static std::string const data = own.data();
    return data;
}

}  // namespace

postgres_server::postgres_server(std::vector<std::string> const& settings)
    : directory_(make_server_directory("postgres")) {
    auto const data = directory_ + "/data";
    copy(template_data(), data);
    set("listen_addresses=''");
    set("unix_socket_directories='" + directory_ + "'");
    set("shared_buffers='32MB'");
    set("dynamic_shared_memory_type='mmap'");  // files in the cluster's directory, which are deleted with it
    for (auto const& each : settings) set(each);
    start();
    postgres_options options;
    options.connection = connection();
    migrate(options);
}

postgres_server::postgres_server(standby_of of) : directory_(make_server_directory("standby")) {
    run_to_end({program("pg_basebackup"), "--pgdata=" + directory_ + "/data", "--host=" + of.primary.directory_,
                "--username=idempo", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"},
               directory_ + "/log");
    set("unix_socket_directories='" + directory_ + "'");
    start();
}

postgres_server::~postgres_server() {
    kill();
    // A killed server leaves its segment behind, and the system has 4,096 of them for everybody.
    ::shmctl(shared_memory(), IPC_RMID, nullptr);
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
}

std::string postgres_server::connection() const { return "host=" + directory_ + " user=idempo dbname=postgres"; }

std::string postgres_server::log() const { return content_of(directory_ + "/log"); }

int postgres_server::shared_memory() const {
    std::ifstream lines(directory_ + "/data/postmaster.pid");
    std::string line;
    for (int number = 1; number < 7; ++number) std::getline(lines, line);
    unsigned long key = 0;
    int id = -1;
    return lines >> key >> id ? id : -1;  // the seventh line
}

void postgres_server::set(std::string_view setting) {
    std::ofstream(directory_ + "/data/postgresql.conf", std::ios::app) << setting << '\n';
}

std::vector<::pid_t> postgres_server::processes() const {
    std::vector<::pid_t> found{process_};
    std::ifstream children("/proc/" + std::to_string(process_) + "/task/" + std::to_string(process_) + "/children");
    for (::pid_t child = 0; children >> child;) found.push_back(child);
    return found;
}

void postgres_server::send_signal(int signal) const {
    for (auto const each : processes()) ::kill(each, signal);
}

void postgres_server::kill() {
    if (process_ < 0) return;
    send_signal(SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
}

void postgres_server::start() {
    auto const start_process = [this] {
        // Told to stop at once, it removes its shared memory; killed, it would not.
        process_ = launch({program("postgres"), "-D", directory_ + "/data"}, directory_ + "/log", SIGQUIT);
    };
    start_process();
    // It refuses to start while a process of its predecessor is ending.
    auto const answers = [&] {
        if (::waitpid(process_, nullptr, WNOHANG) == process_) start_process();
        try {
            return ask("SELECT 1") == "1";
        } catch (pqxx::failure const&) {
            return false;
        }
    };
    try {
        poll_until(answers);
    } catch (std::runtime_error const&) {
        auto const all = log();
        throw std::runtime_error("postgres does not start: ..." +
                                 all.substr(all.size() - std::min<std::size_t>(all.size(), 2000)));
    }
}

void postgres_server::promote() const { ask("SELECT pg_promote()"); }

std::string postgres_server::ask(std::string const& sql) const {
    pqxx::connection to_server(connection());
    pqxx::nontransaction autocommit(to_server);
    auto const result = autocommit.exec(sql);
    return result.empty() ? std::string() : std::string(result[0][0].c_str());
}

}  // namespace idempo::tests
