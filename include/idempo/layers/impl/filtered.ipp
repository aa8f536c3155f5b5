// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/filtered.hpp>

#include <idempo/execution.hpp>
#include <idempo/observer.hpp>

#include <utility>

namespace idempo::detail {

void tell_refused(execution* outer) noexcept { outer->release(); }

void tell_answered(execution* outer) noexcept {
    if (outer->decision() == execution::verdict::by_policy) outer->keep();
}

void tell_threw(observer const& observer, std::exception_ptr exception) noexcept {
    tell_exception(observer, std::move(exception));
}

}  // namespace idempo::detail
