// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/listing.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/record_seal.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempoctl {

/// How many records a command looks at in one call where it walks through the store; the store looks at fewer where
/// others would have to wait.
inline constexpr std::size_t records_a_call = idempo::list_request::largest_page;

using operated_store = idempo::blocking_store<idempo::any_store>;

/// What the store's client has told of its server. Safe from any thread.
class server_report {
public:
    /// In words; the last problem stays when a later event is none.
    void tell_problem(std::string sentence);
    /// What is known of the server, in words, and whether it may remove live records.
    void tell_facts(std::string facts, bool may_evict);
    [[nodiscard]] std::string problem() const;
    [[nodiscard]] std::string facts() const;
    [[nodiscard]] bool may_evict() const;

private:
    mutable std::mutex mutex_;
    std::string problem_;
    std::string facts_;
    bool may_evict_ = false;
};

/// A store that the program works on.
struct store_link {
    std::string url;
    std::shared_ptr<server_report> report;
    operated_store store;
};

/// \param seal_keys of the service, where it seals its records; else empty
/// \throws failure for a URL that makes no sense; that the server cannot be reached shows later
[[nodiscard]] store_link open_link(std::string const& url, std::vector<idempo::seal_key> seal_keys = {});

/// \throws failure with what is known of the reason, where there is an error
void require(store_link const& link, idempo::error_code error);

}  // namespace idempoctl
