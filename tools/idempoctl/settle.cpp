// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/text.hpp"

#include <idempo/observer.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/stores/settle.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace idempoctl {

namespace {

namespace http = boost::beast::http;

idempo::shared_bytes record_of(settle_flags const& flags) {
    http::response<http::string_body> answer(static_cast<http::status>(flags.status), 11);
    for (auto const& field : flags.fields) {
        auto const colon = field.find(':');
        if (colon == 0 || colon == std::string::npos) {
            throw failure(exit_code::wrong_usage,
                          "--field: a name, a colon and a value, as in 'Content-Type: application/json'");
        }
        auto const value = field.find_first_not_of(' ', colon + 1);
        answer.insert(field.substr(0, colon), value == std::string::npos ? "" : field.substr(value));
    }
    answer.body() = flags.body;
    auto record = idempo::make_record(answer, idempo::capture_policy());
    if (!record)
        throw failure(exit_code::wrong_usage, "such an answer cannot be stored: its status, a field or its size");
    return *std::move(record);
}

}  // namespace

void run_settle(store_link& link, console& io, settle_flags const& flags) {
    auto const record = record_of(flags);
    auto const seen = look_at(link, flags.change.key, flags.change.attempt);
    refuse_for(why_not_settle(seen.info));
    confirm(io, "settle", seen,
            "Each request with this key gets this answer from now on, and the handler does not run.");
    idempo::error_code error;
    idempo::settle_request const request{seen.key, seen.info.attempt, record, flags.change.retention};
    bool const is_done = idempo::settle(link.store, request, idempo::log_to(io.err), error);
    require(link, error);
    conclude(io,
             {"settle", seen.key, sentence_of(seen.info), "completed with " + std::to_string(flags.status), is_done});
}

}  // namespace idempoctl
