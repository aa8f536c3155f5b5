// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#ifndef LIBPQ_HAS_PIPELINING
#error "idempo: the transactional mode needs libpq 14 or later"
#endif

namespace idempo::postgres {

/// A statement that is sent again and again, each time with other parameters. Each name has one text.
struct statement_text {
    std::string name{};
    std::string text{};
    /// A plan that was made while the table was small may read all of it, so it is made anew from time to time. Not for
    /// what is sent in a transaction that has failed, where the server refuses to forget a name.
    bool is_planned_anew = false;
};

/// \pre the text outlives the call
struct statement_call {
    statement_text const* what;
    binary_parameters parameters{};
};

/// Statements that are sent together. The first that fails ends the message: none behind it is carried out.
using message = std::vector<statement_call>;

/// Sends messages of several statements over a connection that libpqxx owns, by libpq's pipeline mode. Between two
/// calls the connection is libpqxx's, unless an answer is owed.
///
/// A server process that is ours alone is told each text once, by its name, so that it parses and plans it once.
/// https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
class pipeline {
public:
    /// As often is a plan used, before it is made anew.
    static constexpr unsigned uses_of_a_plan = 128;

    /// \param keeps_names whether each message meets the same session
    pipeline(PGconn* on, bool keeps_names) noexcept : on_(on), keeps_names_(keeps_names) {}

    /// Sends a message and waits for its answer. Fields are binary.
    /// \pre no answer is owed
    /// \throws statement_failure where the connection is lost
    [[nodiscard]] script_outcome run(message const& all, std::chrono::steady_clock::time_point deadline);

    /// Sends a message whose answer is owed.
    /// \pre no answer is owed
    /// \throws statement_failure where the connection is lost
    void post(message const& all, std::chrono::steady_clock::time_point deadline);

    [[nodiscard]] bool owes_answer() const noexcept { return owes_answer_; }

    /// Waits for the answer that is owed, if any.
    /// \throws statement_failure where the connection is lost, or the message has failed
    void settle(std::chrono::steady_clock::time_point deadline);

    /// False where the session forgets names: a handler deallocates them, or there is a pooler after all.
    [[nodiscard]] bool keeps_names() const noexcept { return keeps_names_; }

private:
    enum class kind { forget, prepare, prepare_anew, execute, end };
    struct sent {
        kind what;
        std::string_view name;
    };

    [[nodiscard]] script_outcome take_answer(std::chrono::steady_clock::time_point deadline);
    void send(message const& all);
    void send(statement_call const& call);
    void prepare(statement_text const& text);
    [[nodiscard]] script_outcome read(std::chrono::steady_clock::time_point deadline);
    void has_failed(sent const& part, std::string const& code);
    void was_skipped(sent const& part);

    PGconn* on_;
    bool keeps_names_;
    /// What the session knows, or is about to be told, with how often each may still be used.
    std::map<std::string_view, unsigned> prepared_;
    std::deque<sent> unanswered_;
    bool owes_answer_ = false;
};

}  // namespace idempo::postgres
