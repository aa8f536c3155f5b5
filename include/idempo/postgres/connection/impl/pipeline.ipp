// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/pipeline.hpp>

#include <idempo/postgres/connection/libpq_wait.hpp>
#include <idempo/postgres/connection/parameter_views.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>

#include <utility>

namespace idempo::postgres {

script_outcome pipeline::run(message const& all, std::chrono::steady_clock::time_point deadline) {
    post(all, deadline);
    return take_answer(deadline);
}

void pipeline::post(message const& all, std::chrono::steady_clock::time_point deadline) {
    non_blocking const while_waiting(on_);
    lost_unless(PQenterPipelineMode(on_) == 1);
    send(all);
    flush(on_, deadline);
    owes_answer_ = true;
}

void pipeline::settle(std::chrono::steady_clock::time_point deadline) {
    if (!owes_answer_) return;
    auto const outcome = take_answer(deadline);
    if (!outcome.has_succeeded()) throw statement_failure(outcome.sqlstate, false);
}

script_outcome pipeline::take_answer(std::chrono::steady_clock::time_point deadline) {
    non_blocking const while_waiting(on_);
    auto outcome = read(deadline);
    lost_unless(PQexitPipelineMode(on_) == 1);
    owes_answer_ = false;
    return outcome;
}

void pipeline::send(message const& all) {
    for (auto const& each : all) send(each);
    lost_unless(PQpipelineSync(on_) == 1);
    unanswered_.push_back({kind::end, {}});
}

void pipeline::send(statement_call const& call) {
    parameter_views const given(call.parameters);
    if (keeps_names_) {
        prepare(*call.what);
        lost_unless(PQsendQueryPrepared(on_, call.what->name.c_str(), given.count(), given.values.data(),
                                        given.lengths.data(), given.formats.data(), parameter_views::in_binary) == 1);
    } else {
        lost_unless(PQsendQueryParams(on_, call.what->text.c_str(), given.count(), nullptr, given.values.data(),
                                      given.lengths.data(), given.formats.data(), parameter_views::in_binary) == 1);
    }
    unanswered_.push_back({kind::execute, call.what->name});
}

/// Where the server does not know it yet, or has used its plan for long enough.
void pipeline::prepare(statement_text const& text) {
    auto const [known, is_new] = prepared_.try_emplace(text.name, uses_of_a_plan);
    if (!is_new && (known->second > 0 || !text.is_planned_anew)) {
        if (known->second > 0) --known->second;
        return;
    }
    if (!is_new) {
        auto const forget = "DEALLOCATE " + text.name;
        lost_unless(PQsendQueryParams(on_, forget.c_str(), 0, nullptr, nullptr, nullptr, nullptr,
                                      parameter_views::in_binary) == 1);
        unanswered_.push_back({kind::forget, text.name});
    }
    lost_unless(PQsendPrepare(on_, text.name.c_str(), text.text.c_str(), 0, nullptr) == 1);
    unanswered_.push_back({is_new ? kind::prepare : kind::prepare_anew, text.name});
    known->second = uses_of_a_plan;
}

/// Reads the answer to one message. Each part of it has one result.
script_outcome pipeline::read(std::chrono::steady_clock::time_point deadline) {
    script_outcome outcome;
    bool was_nothing = false;
    while (true) {
        auto each = next_result(on_, deadline);
        if (PQstatus(on_) != CONNECTION_OK) {
            if (each && outcome.sqlstate.empty()) outcome.sqlstate = sqlstate_of(each.get());
            throw statement_failure(outcome.sqlstate, true);
        }
        // After each result there is a null; two are an answer that is not to our message.
        if (!each && (std::exchange(was_nothing, true) || unanswered_.empty())) throw_lost();
        if (!each) continue;
        was_nothing = false;
        if (unanswered_.empty()) throw_lost();
        auto const part = unanswered_.front();
        unanswered_.pop_front();
        auto const status = PQresultStatus(each.get());
        if ((status == PGRES_PIPELINE_SYNC) != (part.what == kind::end)) throw_lost();
        switch (status) {
        case PGRES_PIPELINE_SYNC: return outcome;
        case PGRES_PIPELINE_ABORTED: was_skipped(part); break;
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY:
            if (part.what == kind::execute) outcome.results.emplace_back(each.release());
            break;
        default:
            outcome.sqlstate = sqlstate_of(each.get());
            if (outcome.sqlstate.empty()) throw_lost();
            has_failed(part, outcome.sqlstate);
        }
    }
}

void pipeline::has_failed(sent const& part, std::string const& code) {
    if (part.what == kind::prepare || part.what == kind::prepare_anew) prepared_.erase(part.name);
    if (!sqlstate::is_about_names(code)) return;
    keeps_names_ = false;
    prepared_.clear();
}

void pipeline::was_skipped(sent const& part) {
    if (part.what == kind::prepare) prepared_.erase(part.name);
    // So was what would have made the session forget it.
    if (part.what == kind::prepare_anew && keeps_names_) prepared_[part.name] = 0;
}

}  // namespace idempo::postgres
