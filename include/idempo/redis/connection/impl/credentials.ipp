// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/credentials.hpp>

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace idempo::redis {

namespace {

std::string read_first_line(std::string const& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) throw std::runtime_error("the password file cannot be read, or is empty");
    return line;
}

}  // namespace

redis_credentials read_credentials(redis_options const& options) {
    if (options.credentials) return options.credentials();
    if (options.password_file.empty()) return {options.user, options.password};
    return {options.user, read_first_line(options.password_file)};
}

std::string loggable(std::string_view words, std::string_view secret) {
    constexpr std::size_t max_size = 200;
    std::string text(words.substr(0, std::min(words.find(", with args"), words.find('\n'))));
    if (!secret.empty() && text.find(secret) != std::string::npos) text = "(its words repeat the password)";
    if (text.size() > max_size) text.resize(max_size);
    std::replace_if(
        text.begin(), text.end(), [](char each) { return each < ' ' || each > '~'; }, '?');
    return text;
}

}  // namespace idempo::redis
