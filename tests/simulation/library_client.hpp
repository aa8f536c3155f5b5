// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/describe.hpp"
#include "simulation/process_client.hpp"
#include "simulation/surroundings.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace idempo::simulation {

/// A process's client of a server: the library's own store, whose calls and answers are told to the ground truth.
template <class Store>
class library_client : public process_client, public std::enable_shared_from_this<library_client<Store>> {
public:
    void send(store_call call, answer_handler done) override {
        if (!store_) return;
        world_.truth.sent(process_, call);
        is_called(call);
        auto& store = *store_;
        if (auto const* claim = std::get_if<claim_request>(&call)) {
            store.async_claim(*claim, told<claim_result>(call, std::move(done)));
        } else if (auto const* complete = std::get_if<complete_request>(&call)) {
            store.async_complete(*complete, told<complete_result>(call, std::move(done)));
        } else if (auto const* abandon = std::get_if<abandon_request>(&call)) {
            store.async_abandon(abandon->key, abandon->fencing_token, told<>(call, std::move(done)));
        } else if (auto const* renew = std::get_if<renew_request>(&call)) {
            store.async_renew(renew->key, renew->fencing_token, renew->lease, told<bool>(call, std::move(done)));
        } else if (auto const* step = std::get_if<step_request>(&call)) {
            store.async_save_step(*step, told<bool>(call, std::move(done)));
        } else if (auto const* park = std::get_if<park_request>(&call)) {
            store.async_park(*park, told<bool>(call, std::move(done)));
        } else if (auto const* settle = std::get_if<settle_request>(&call)) {
            store.async_settle(*settle, told<bool>(call, std::move(done)));
        } else {
            store.async_peek(key_of(call), told<std::optional<record_info>>(call, std::move(done)));
        }
    }

    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }

protected:
    library_client(surroundings& world, std::size_t process, asio::any_io_executor executor)
        : world_(world),
          process_(process),
          executor_(std::move(executor)) {}

    template <class Options>
    void open_store(Options options) {
        store_ = std::make_unique<Store>(executor_, std::move(options));
    }
    void close_store() { store_.reset(); }

    [[nodiscard]] std::size_t process() const noexcept { return process_; }

private:
    /// \name For a server that has to know which calls are under way
    /// @{
    virtual void is_called(store_call const&) {}
    virtual void is_answered(store_call const&) {}
    /// @}

    /// The handler of a call, in the process.
    template <class... Result>
    [[nodiscard]] auto told(store_call const& call, answer_handler done) {
        return asio::bind_executor(executor_, [self = this->weak_from_this(), call,
                                               done = std::move(done)](error_code error, Result... result) mutable {
            auto const here = self.lock();
            if (!here) return;
            store_answer answer;
            answer.error = error;
            if (!error) ((answer.result = std::move(result)), ...);
            here->answer(call, std::move(answer), std::move(done));
        });
    }

    void answer(store_call const& call, store_answer answer, answer_handler done) {
        world_.told.tell("process ", process_, ": is told ", describe(answer), " of ", describe(call, world_.told));
        if (answer.error == error::store_timed_out) world_.told.count("calls timed out");
        if (answer.error == error::store_unavailable) world_.told.count("calls failed");
        is_answered(call);
        world_.truth.delivered(call, answer);
        if (auto const* claim = std::get_if<claim_request>(&call)) world_.truth.answered_to(process_, *claim, answer);
        std::move(done)(std::move(answer));
    }

    surroundings& world_;
    std::size_t process_;
    asio::any_io_executor executor_;
    std::unique_ptr<Store> store_;
};

}  // namespace idempo::simulation
