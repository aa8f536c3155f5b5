// SPDX-License-Identifier: MIT
#include "idempoctl/key_choice.hpp"

#include "idempoctl/outcome.hpp"

#include <idempo/digest_key.hpp>
#include <idempo/key.hpp>
#include <idempo/listing.hpp>

#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>

namespace idempoctl {

namespace {

/// Enough to show that they are not unique.
constexpr std::size_t max_found = 5;

std::optional<idempo::endpoint> endpoint_in(std::string_view text) {
    if (text.empty()) return std::nullopt;
    auto const space = text.find(' ');
    auto const path = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (space == 0 || !path.starts_with('/')) {
        throw failure(exit_code::wrong_usage, "--endpoint: a method and a path, as in 'POST /charges'");
    }
    return idempo::endpoint{text.substr(0, space), path};
}

std::string content_of_secret(std::string const& path) {
    std::ifstream file(path, std::ios::binary);
    std::string secret{std::istreambuf_iterator<char>(file), {}};
    if (!file) throw failure(exit_code::wrong_usage, "--secret-file: cannot read " + path);
    if (secret.ends_with('\n')) secret.pop_back();
    return secret;
}

idempo::digest_keys secrets_of(std::string const& path) {
    if (path.empty()) return idempo::digest_keys::none();
    try {
        return idempo::digest_keys{content_of_secret(path)};
    } catch (std::invalid_argument const& error) {
        throw failure(exit_code::wrong_usage, "--secret-file: " + std::string(error.what()));
    }
}

idempo::store_key only_one_of(std::set<idempo::store_key> const& found, std::string const& digits) {
    if (found.empty()) throw failure(exit_code::no_record, "no key begins with " + digits);
    if (found.size() == 1) return *found.begin();
    std::string all;
    for (auto const& each : found) all += "\n  " + idempo::to_hex(each.view());
    throw failure(exit_code::wrong_usage, "several keys begin with " + digits + ", give more digits:" + all);
}

idempo::store_key search(store_link& link, std::string const& digits) {
    std::set<idempo::store_key> found;
    idempo::list_request request{.after = {}, .limit = records_a_call, .state = {}, .digits = digits};
    do {
        idempo::error_code error;
        auto const page = link.store.list(request, error);
        require(link, error);
        for (auto const& each : page.records) found.insert(each.key);
        request.after = page.next;
    } while (!request.after.empty() && found.size() < max_found);
    return only_one_of(found, digits);
}

}  // namespace

idempo::store_key client_key(key_choice const& choice) {
    if (choice.key.empty()) throw failure(exit_code::wrong_usage, "KEY is empty");
    auto const secrets = secrets_of(choice.secret_file);
    auto const* const secret = secrets.list().empty() ? nullptr : &secrets.list().front();
    return idempo::make_store_key(choice.key_namespace, choice.scope, choice.key, endpoint_in(choice.endpoint), secret);
}

idempo::store_key find_key(store_link& link, key_choice const& choice) {
    if (!choice.is_digest) return client_key(choice);
    auto const& digits = choice.key;
    bool const are_digits = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!are_digits || digits.size() < fewest_digits || digits.size() > 2 * sizeof(idempo::store_key)) {
        throw failure(exit_code::wrong_usage, "--digest: 6 to 64 lower-case hexadecimal digits");
    }
    if (auto const whole = idempo::detail::key_from_hex(digits)) return *whole;
    return search(link, digits);
}

}  // namespace idempoctl
