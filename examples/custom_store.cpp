#include "common/charge_service.hpp"
#include "common/sync_charges.hpp"
#include "map_store.hpp"

#include <idempo/layer.hpp>

#include <boost/beast/http/write.hpp>

#include <iostream>
#include <string>
#include <utility>

/// \file
/// A store of your own (map_store.hpp), and what the middleware makes of it: a first request, its retry, and the same
/// key with another amount.

int main() {
    charge_service charges;
    auto const handle = idempo::layer(map_store()) | sync_charges(charges);
    for (std::string const body : {R"({"amount":42})", R"({"amount":42})", R"({"amount":43})"}) {
        http_request request(http::verb::post, "/charge", 11, body);
        request.set("Idempotency-Key", "\"an-order\"");
        std::cout << handle(std::move(request)) << "\n\n";
    }
}
