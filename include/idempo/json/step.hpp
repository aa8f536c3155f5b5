// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/step.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <string>

/// \file
/// JSON values as results of steps: `execution.step("quote", f)` where `f` returns a `boost::json::value`.

namespace idempo {

/// Numbers keep their kind, and doubles their value (RFC 8259; `boost::json::serialize`).
template <>
struct step_codec<boost::json::value> {
    static std::string write(boost::json::value const& result) { return boost::json::serialize(result); }
    /// \throws boost::system::system_error where the bytes are not JSON: another version of the handler has kept them
    static boost::json::value read(std::string const& bytes) { return boost::json::parse(bytes); }
};

}  // namespace idempo
