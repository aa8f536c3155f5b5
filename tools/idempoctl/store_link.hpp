// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace idempoctl {

/// How many records a command looks at in one call where it walks through the store: few enough for a busy server to
/// answer in time.
inline constexpr std::size_t records_a_call = 1000;

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

/// \throws failure for a URL that makes no sense; that the server cannot be reached shows later
[[nodiscard]] store_link open_link(std::string const& url);

/// \throws failure with what is known of the reason, where there is an error
void require(store_link const& link, idempo::error_code error);

}  // namespace idempoctl
