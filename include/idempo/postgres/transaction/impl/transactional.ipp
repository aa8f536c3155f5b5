// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transactional.hpp>

#include <stdexcept>
#include <utility>

namespace idempo {

namespace {

options checked(options options, transactional_options const& database) {
    validate(options);
    auto const refuse_if = [](bool condition, char const* sentence) {
        if (condition) throw std::invalid_argument(sentence);
    };
    refuse_if(options.on_takeover != on_takeover::run, "transactional: there is no takeover, since there is no lease");
    refuse_if(options.on_throw == on_throw::hold, "transactional: on_throw::hold needs a lease");
    refuse_if(static_cast<bool>(options.hold_if), "transactional: hold_if needs a lease");
    refuse_if(options.on_store_error != on_store_error::refuse, "transactional: there is no run without a transaction");
    refuse_if(options.unstorable == unstorable::release,
              "transactional: unstorable::release would answer a success and undo it");
    // The snapshot of a stricter one is older than the lock under which the other record is looked for.
    refuse_if(has_other_identities(options) && database.isolation != transaction_isolation::read_committed,
              "transactional: options.previous, and a second secret in options.digest_keys, need read committed");
    return options;
}

}  // namespace

transactional_layer::transactional_layer(asio::any_io_executor executor, transactional_options database,
                                         idempo::options options)
    : commit_if_(database.commit_if),
      options_(checked(std::move(options), database)),
      pool_(postgres::make_transaction_pool(std::move(executor), std::move(database))) {}

transactional_layer transactional(asio::any_io_executor executor, transactional_options database, options options) {
    return {std::move(executor), std::move(database), std::move(options)};
}

}  // namespace idempo
