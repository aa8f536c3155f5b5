// SPDX-License-Identifier: MIT
#include <idempo/json/step.hpp>

#include "support/catch.hpp"

#include <boost/json/value.hpp>

#include <string>

TEST_CASE("json step: what was kept is what was made") {
    using codec = idempo::step_codec<boost::json::value>;
    boost::json::value const made{{"id", "a\n1"}, {"amount", 42}, {"rate", 0.1}, {"tags", {nullptr, true, "x"}}};
    CHECK(codec::read(codec::write(made)) == made);
    CHECK_THROWS(codec::read("{"));
}
