// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/script.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/reply_error.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/error.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace idempo::redis {

/// One run of a script: by its digest, and once more where the server does not know it. Then the first of many brings
/// the source, which is ten times as long as the rest of a command, and those behind it go by the digest; one that is
/// refused again brings the source itself.
class script_call {
public:
    explicit script_call(script const& called) : script_(called) {}

    template <class... Arguments>
    void append(std::string& to, server_abilities abilities, std::string_view key, Arguments const&... arguments) {
        choose(abilities);
        append_command(to, {command(), sha_or_source(), "1", key, arguments..., script_.name});
    }

    /// With the mark of the key, which is in the same slot.
    template <class... Arguments>
    void append_with_mark(std::string& to, server_abilities abilities, std::string_view key, std::string_view mark,
                          Arguments const&... arguments) {
        choose(abilities);
        append_command(to, {command(), sha_or_source(), "2", key, mark, arguments..., script_.name});
    }

    /// With any number of keys.
    void append_with_keys(std::string& to, server_abilities abilities, std::vector<std::string> const& keys,
                          std::string_view argument) {
        choose(abilities);
        auto const count = std::to_string(keys.size());
        std::vector<std::string_view> words{command(), sha_or_source(), count};
        words.insert(words.end(), keys.begin(), keys.end());
        words.insert(words.end(), {argument, std::string_view(script_.name)});
        append_command(to, words);
    }

    /// What an error reply means; `script_unknown` where the server does not know it and has not been sent its source
    /// by this call, else `error` is set.
    [[nodiscard]] reading read_error(reply_view answer, error_code& error) {
        auto const meaning = meaning_of(answer.text());
        if (meaning == error_meaning::wrong_server) return reading::wrong_connection;
        if (meaning == error_meaning::script_unknown && !sends_source_) {
            ++refusals_;
            return reading::script_unknown;
        }
        error = code_of(meaning);
        return reading::answered;
    }

    /// Whether the answer is one of our scripts', to the call with this fencing token: an array that begins with it.
    [[nodiscard]] static bool is_echo(reply_view answer, std::string_view token) noexcept {
        return answer.size() >= 2 && answer[0].is_string() && answer[0].text() == token && answer[1].is_string();
    }

private:
    void choose(server_abilities abilities) noexcept {
        sends_source_ = refusals_ > 1 || (refusals_ == 1 && !abilities.has_scripts);
    }
    [[nodiscard]] std::string_view command() const noexcept { return sends_source_ ? "EVAL" : "EVALSHA"; }
    [[nodiscard]] std::string_view sha_or_source() const noexcept {
        return sends_source_ ? script_.source : script_.sha1;
    }

    script const& script_;
    unsigned refusals_ = 0;
    /// The command appended last.
    bool sends_source_ = false;
};

}  // namespace idempo::redis
