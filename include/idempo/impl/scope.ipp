// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/scope.hpp>

#include <idempo/option_checks.hpp>

#include <utility>

namespace idempo {

scope scope::credential_bound(std::vector<std::string> fields) {
    scope made;
    made.credential_fields_ = std::move(fields);
    return made;
}

scope scope::credential_bound() { return credential_bound({"Authorization", "X-Api-Key"}); }

scope scope::principal(principal_function find_principal) {
    detail::require(static_cast<bool>(find_principal), "scope::principal needs a function that finds the caller");
    scope made;
    made.find_principal_ = std::move(find_principal);
    return made;
}

scope scope::single_tenant() { return {}; }

}  // namespace idempo
