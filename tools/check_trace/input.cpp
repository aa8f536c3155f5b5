// SPDX-License-Identifier: MIT
#include "check_trace/input.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <queue>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace check_trace {

namespace {

constexpr std::size_t buffer_size = std::size_t{1} << 16U;
constexpr std::size_t longest_line = std::size_t{1} << 16U;

/// A file and its next entry.
class source {
public:
    source(std::string const& name, std::uint32_t number, reading& counted)
        : lines_(name),
          number_(number),
          counted_(counted) {}

    /// False at the end.
    bool advance() {
        while (auto const line = lines_.next()) {
            if (line->empty() || line->front() == '#') continue;
            if (read(*line)) return true;
        }
        return false;
    }

    [[nodiscard]] entry const& now() const noexcept { return entry_; }
    [[nodiscard]] place where() const noexcept { return {number_, lines_.number()}; }
    [[nodiscard]] std::string name() const {
        return (lines_.name() == "-" ? "standard input" : lines_.name()) + ':' + std::to_string(lines_.number());
    }

private:
    bool read(std::string_view line) {
        try {
            entry_ = read_entry(line);
            return true;
        } catch (malformed const& error) {
            if (lines_.is_cut()) {
                ++counted_.cut;
                return false;
            }
            // The process that was killed in mid-line was followed by another one.
            auto const next = line.rfind("T1 ");
            if (next == 0 || next == std::string_view::npos) throw unreadable(name() + ": " + error.what());
            ++counted_.cut;
            return read(line.substr(next));
        }
    }

    line_reader lines_;
    std::uint32_t number_;
    reading& counted_;
    entry entry_;
};

struct is_later {
    bool operator()(source const* left, source const* right) const noexcept {
        return left->now().time > right->now().time;
    }
};

}  // namespace

line_reader::line_reader(std::string name) : name_(std::move(name)), buffer_(buffer_size) {
    file_ = name_ == "-" ? STDIN_FILENO : ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) throw unreadable(name_ + ": " + std::strerror(errno));
}

line_reader::~line_reader() {
    if (file_ != STDIN_FILENO) ::close(file_);
}

std::optional<std::string_view> line_reader::next() {
    auto searched = begin_;
    while (true) {
        auto const* const found = std::memchr(buffer_.data() + searched, '\n', end_ - searched);
        if (found != nullptr) {
            auto const at = static_cast<std::size_t>(static_cast<char const*>(found) - buffer_.data());
            std::string_view const line(buffer_.data() + begin_, at - begin_);
            begin_ = at + 1;
            ++number_;
            return line;
        }
        searched = end_ - begin_;  // they move to the front
        if (fill()) continue;
        if (begin_ == end_) return std::nullopt;
        is_cut_ = true;
        ++number_;
        return std::string_view(buffer_.data() + std::exchange(begin_, end_), end_ - begin_);
    }
}

/// Reads more behind what is left, which moves to the front.
bool line_reader::fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ >= longest_line) throw unreadable(name_ + ':' + std::to_string(number_ + 1) + ": the line is too long");
    if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
    auto const got = ::read(file_, buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0) throw unreadable(name_ + ": " + std::strerror(errno));
    end_ += static_cast<std::size_t>(got);
    return got > 0;
}

reading read_all(std::vector<std::string> const& files, checker& into) {
    reading counted;
    std::vector<std::unique_ptr<source>> sources;
    std::priority_queue<source*, std::vector<source*>, is_later> next;
    for (auto const& name : files) {
        sources.push_back(std::make_unique<source>(name, static_cast<std::uint32_t>(sources.size()), counted));
        if (sources.back()->advance()) next.push(sources.back().get());
    }
    while (!next.empty()) {
        auto* const first = next.top();
        next.pop();
        auto const until = next.empty() ? never : next.top()->now().time;
        bool has_more = true;
        while (has_more && first->now().time <= until) {
            try {
                into.add(first->now(), first->where());
            } catch (malformed const& error) {
                throw unreadable(first->name() + ": " + error.what());
            }
            has_more = first->advance();
        }
        if (has_more) next.push(first);
    }
    return counted;
}

}  // namespace check_trace
