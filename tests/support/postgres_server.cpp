#include "support/postgres_server.hpp"

#include "support/poll_until.hpp"

#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/result>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace idempo::tests {

namespace {

namespace fs = std::filesystem;

/// Whom root becomes: the user of Debian's package, or nobody.
::passwd const* another_user() {
    static ::passwd const* const found = [] {
        auto const* const postgres = ::getpwnam("postgres");
        return postgres != nullptr ? postgres : ::getpwnam("nobody");
    }();
    return ::geteuid() == 0 ? found : nullptr;
}

std::string make_directory() {
    auto name = (fs::temp_directory_path() / "idempo-postgres-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    give_to_another_user(name);
    return name;
}

std::string output_of(std::string const& command) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> part{};
    while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) output += part.data();
    while (output.ends_with('\n')) output.pop_back();
    return output;
}

std::string program(std::string const& name) {
    static std::string const directory = output_of("pg_config --bindir");
    return directory + "/" + name;
}

::pid_t launch_program(std::vector<std::string> words, std::string const& log_path, bool dies_with_parent) {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    auto const log = ::open(log_path.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    static_cast<void>(another_user());  // looked up before the fork
    auto const process = ::fork();
    if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (process == 0) {
        become_another_user();
        if (dies_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(log);
    return process;
}

/// Made once in a process, and copied for each server: initdb takes a second.
std::string const& template_directory() {
    static struct template_cluster {
        template_cluster() {
            auto const process = launch_program({program("initdb"), "--pgdata=" + directory + "/data", "--auth=trust",
                                                 "--username=idempo", "--encoding=UTF8", "--no-sync"},
                                                directory + "/log", true);
            int status = 0;
            ::waitpid(process, &status, 0);
            if (status != 0) throw std::runtime_error("initdb failed");
        }
        template_cluster(template_cluster const&) = delete;
        template_cluster& operator=(template_cluster const&) = delete;
        ~template_cluster() {
            std::error_code ignored;
            fs::remove_all(directory, ignored);
        }
        std::string directory = make_directory();
    } const made;
    return made.directory;
}

std::string content_of(std::string const& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string records_migration() {
    auto text = content_of(IDEMPO_MIGRATIONS "/0001_records.sql");
    for (auto at = text.find("{table}"); at != std::string::npos; at = text.find("{table}")) {
        text.replace(at, 7, "idempo_records");
    }
    return text;
}

}  // namespace

void become_another_user() noexcept {
    if (auto const* const user = another_user()) {
        if (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0) ::_exit(126);
    }
}

void give_to_another_user(std::string const& path) {
    if (auto const* const user = another_user()) {
        if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
            throw std::system_error(errno, std::generic_category(), "chown");
        }
    }
}

postgres_server::postgres_server(std::vector<std::string> const& settings) : directory_(make_directory()) {
    auto const data = directory_ + "/data";
    if (std::system(("cp -a " + template_directory() + "/data " + data).c_str()) != 0) {
        throw std::runtime_error("cannot copy the template");
    }
    set("listen_addresses=''");
    set("unix_socket_directories='" + directory_ + "'");
    set("shared_buffers='32MB'");
    for (auto const& each : settings) set(each);
    start();
    ask(records_migration());
}

postgres_server::~postgres_server() {
    kill();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
}

std::string postgres_server::connection() const { return "host=" + directory_ + " user=idempo dbname=postgres"; }

std::string postgres_server::log() const { return content_of(directory_ + "/log"); }

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

void postgres_server::launch() {
    process_ = launch_program({program("postgres"), "-D", directory_ + "/data"}, directory_ + "/log", true);
}

void postgres_server::start() {
    launch();
    // It refuses to start as long as a process of its predecessor is about to end.
    poll_until([this] {
        if (::waitpid(process_, nullptr, WNOHANG) == process_) launch();
        try {
            return ask("SELECT 1") == "1";
        } catch (pqxx::failure const&) {
            return false;
        }
    });
}

std::string postgres_server::ask(std::string const& sql) const {
    pqxx::connection to_server(connection());
    pqxx::nontransaction autocommit(to_server);
    auto const result = autocommit.exec(sql);
    return result.empty() ? std::string() : std::string(result[0][0].c_str());
}

}  // namespace idempo::tests
