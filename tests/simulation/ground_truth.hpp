// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/answer_ledger.hpp"
#include "simulation/chronicle.hpp"
#include "simulation/claim_ledger.hpp"
#include "simulation/contract_record.hpp"
#include "simulation/scenario.hpp"
#include "simulation/store_call.hpp"

#include <idempo/testing/history.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::simulation {

/// What became of the claim of one call of the handler, as the handler and the options want it.
enum class ending { running, stored, released, held, parked, fenced };

/// One call of the handler.
struct run {
    std::size_t number = 0;
    std::size_t key = 0;
    std::size_t process = 0;
    std::string payload;
    /// What the bank knows its charge by; empty without a claim.
    std::string charge_key;
    idempo::fencing_token fencing_token{};
    /// 0: without a claim.
    unsigned attempt = 0;
    /// When the store granted its claim, as a tick, and for which life of the record.
    claim_grant claim{};
    bool has_effect = false;
    bool is_over = false;
    /// The step that it runs, and how many it has run and kept.
    std::string step{};
    std::size_t kept_steps = 0;
    ending end = ending::running;
    /// By the clock of its process.
    time_point ended_at{};
};

/// An answer as a client sees it.
struct seen_answer {
    unsigned status = 0;
    bool is_replay = false;
    /// The service says that a retry changes nothing.
    bool is_final = false;
    /// The service's own text; empty for a refusal.
    std::string text;
    /// The run that it speaks of; empty for a refusal, and for what `reconcile` answered.
    std::optional<std::size_t> run;
};

/// Sees everything that happens in a world, and checks it: what the store was asked and answered, what handlers did,
/// and what clients were told.
class ground_truth {
public:
    ground_truth(scenario const& setup, chronicle& told, std::vector<store_key> const& keys);

    /// \name The store
    /// @{
    void sent(std::size_t process, store_call const& call);
    void applied(store_call const& call, store_answer const& answer, std::uint64_t sent_at, time_point store_time);
    /// An answer has reached the middleware.
    void answered_to(std::size_t process, claim_request const& claim, store_answer const& answer);
    /// As the library's client of the store has it.
    void delivered(store_call const& call, store_answer const& answer);
    /// The store goes on without its last calls; `kept` is what it has carried out before, all of it.
    void failed_over(std::vector<store_call> const& lost, std::vector<store_event> const& kept);
    [[nodiscard]] std::uint64_t tick() noexcept { return ticks_++; }
    /// @}

    /// \name The handlers
    /// @{
    run& started(std::size_t key, std::size_t process, unsigned attempt);
    void had_effect(run& of);
    void ran_step(run& of, std::string const& label);
    void kept_step(run& of, std::string const& label);
    /// A run of the record that there is, by its charge's key; null where none had its effect.
    [[nodiscard]] run const* run_with_effect(std::size_t key, std::string_view charge_key) const;
    /// The last one; null where there is none.
    [[nodiscard]] run const* run_that_parked(std::size_t key) const;
    /// @}

    /// \name Trouble
    /// @{
    void disturb(std::size_t process);
    void disturb_all();
    void died(std::size_t process);
    void clock_jumped(std::size_t process, duration by);
    /// @}

    /// \name The clients
    /// @{
    void answering(std::size_t key, seen_answer const& answer, time_point local_time);
    void answered(std::size_t key, std::string const& payload, seen_answer const& answer);
    void unanswered(std::size_t clients);
    /// @}

    void finish(time_point store_time);

private:
    struct key_truth {
        contract_record record;
        unsigned effects = 0;
        /// Effects that the guarantees allow, with everything that has gone wrong.
        unsigned allowed = 1;
        /// Records lost, expired, freed: earlier runs are not known to the store.
        unsigned lives = 0;
        bool answers_may_differ = false;
        bool history_is_cut = false;
        std::optional<std::string> answer;
        /// Each with the tick at which it was kept: who claimed earlier need not know of it.
        std::map<std::string, std::uint64_t> kept_steps;
        std::map<std::pair<std::size_t, unsigned>, fencing_token> grants;
        std::set<fencing_token> ran;
        std::vector<testing::past_operation> history;
    };

    [[nodiscard]] std::optional<std::size_t> index_of(store_key const& key) const;
    void lose(store_call const& call, std::vector<store_event> const& kept);
    /// Once more, without checks.
    void restore(store_event const& kept);
    void check_needless_takeover(key_truth const& of);
    void check_earlier_attempts(run const& made);
    void check_abandoned(key_truth const& of, store_call const& call);
    [[nodiscard]] bool is_disturbed(run const& of) const;
    void follow_end(key_truth& of, store_call const& call);
    void begin_life(key_truth& of);
    void remember(key_truth& of, store_call const& call, store_answer const& answer, std::uint64_t sent_at);
    [[nodiscard]] run* find(fencing_token const& by);
    void check_history(std::size_t key);

    scenario const& setup_;
    chronicle& told_;
    std::vector<store_key> keys_;
    store_manners manners_;
    std::vector<key_truth> truth_;
    std::deque<run> runs_;
    claim_ledger claims_;
    /// Where the client is the library's.
    answer_ledger answers_;
    /// When something last went wrong for each process.
    std::vector<std::uint64_t> disturbed_at_;
    std::uint64_t ticks_ = 1;
};

}  // namespace idempo::simulation
