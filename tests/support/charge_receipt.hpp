// SPDX-License-Identifier: MIT
#pragma once

#include "support/http_client.hpp"
#include "support/requests.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace idempo::tests {

/// A charge as its clients know it: a key, and an amount that no other charge has.
struct charge_order {
    std::string key;
    std::size_t amount = 0;

    [[nodiscard]] text_request request() const {
        return make_post("/charge?delay_ms=20", key, "{\"amount\":" + std::to_string(amount) + "}");
    }
};

/// An answer with 201.
struct charge_receipt {
    charge_order order;
    std::string id;
    bool is_for_order = false;  // else it answers another request
};

/// Nullopt if the status is not 201.
inline std::optional<charge_receipt> receipt_in(text_response const& answer, charge_order const& order) {
    if (answer.result_int() != 201) return std::nullopt;
    auto const& body = answer.body();
    auto const id = body.find("\"id\":\"") + 6;
    auto const amount = "\"amount\":" + std::to_string(order.amount) + ',';
    return charge_receipt{order, body.substr(id, body.find('"', id) - id), body.find(amount) != std::string::npos};
}

/// Nullopt also if there is no response. A closed connection is reopened next time.
inline std::optional<charge_receipt> try_charge(std::optional<http_client>& connection, std::uint16_t port,
                                                charge_order const& order) {
    try {
        if (!connection) connection.emplace(port);
        auto const answer = connection->exchange(order.request());
        if (!answer.keep_alive()) connection.reset();
        return receipt_in(answer, order);
    } catch (std::exception const&) {  // the server closes connections, too
        connection.reset();
        return std::nullopt;
    }
}

}  // namespace idempo::tests
