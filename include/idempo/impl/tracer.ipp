// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/tracer.hpp>

#include <idempo/observer.hpp>

#include <array>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace idempo {

namespace detail {

namespace {

constexpr std::string_view trace_version = "T1";
constexpr std::size_t shown_identifier_bytes = 8;
constexpr std::size_t process_bytes = 6;

void append_number(std::string& to, std::uint64_t number) {
    std::array<char, 20> digits{};
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    to.append(digits.data(), end);
}

void append_identifier(std::string& to, std::string_view bytes) {
    to += ' ';
    to += bytes.empty() ? std::string("-") : to_hex(bytes.substr(0, shown_identifier_bytes));
}

void append_word(std::string& to, std::string_view word) {
    to += ' ';
    to += word;
}

std::function<std::chrono::microseconds()> steady_time() {
    using std::chrono::duration_cast;
    using std::chrono::microseconds;
    using std::chrono::steady_clock;
    auto const wall = duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch());
    return
        [wall, since = steady_clock::now()] { return wall + duration_cast<microseconds>(steady_clock::now() - since); };
}

}  // namespace

trace_fields& trace_fields::add(std::string_view name, std::uint64_t value) {
    append_word(text_, name);
    text_ += '=';
    append_number(text_, value);
    return *this;
}

trace_fields& trace_fields::add(std::string_view name, std::string_view word) {
    append_word(text_, name);
    text_ += '=';
    text_ += word;
    return *this;
}

trace_fields& trace_fields::add(std::string_view name, error_code error) {
    // The category and the number, not the message: a server's text may quote its input.
    append_word(text_, name);
    text_ += '=';
    for (char const letter : std::string_view(error.category().name())) text_ += letter == ' ' ? '_' : letter;
    text_ += ':';
    text_ += std::to_string(error.value());
    return *this;
}

std::string trace_checksum(std::string_view bytes) {
    constexpr std::uint64_t factor = 0x9E3779B97F4A7C15;
    std::uint64_t sum = bytes.size() * factor;
    while (!bytes.empty()) {
        std::uint64_t word = 0;
        auto const taken = std::min(bytes.size(), sizeof word);
        std::memcpy(&word, bytes.data(), taken);
        bytes.remove_prefix(taken);
        sum = (sum ^ word) * factor;
        sum ^= sum >> 29U;
    }
    std::array<char, 4> shown{};
    std::memcpy(shown.data(), &sum, shown.size());
    return to_hex({shown.data(), shown.size()});
}

/// Numbers the lines and gives them to the sink, by its thread or at once.
class trace_writer {
public:
    trace_writer(trace_sink sink, trace_options options)
        : sink_(std::move(sink)),
          limit_(options.buffer_bytes),
          clock_(options.clock ? std::move(options.clock) : steady_time()),
          process_(to_hex(make_fencing_token().view().substr(0, process_bytes))) {
        if (!sink_) throw std::invalid_argument("tracer: there is no sink");
        write({.what = "trace", .how = "begins"}, trace_fields().add("buffered", limit_ > 0 ? 1 : 0));
        if (limit_ > 0) thread_ = std::thread([this] { run(); });
    }
    trace_writer(trace_writer const&) = delete;
    trace_writer& operator=(trace_writer const&) = delete;

    ~trace_writer() {
        write({.what = "trace", .how = "ends"}, {});
        if (!thread_.joinable()) return;
        {
            std::lock_guard const lock(mutex_);
            is_ending_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    trace_number write(trace_columns const& columns, trace_fields const& fields) {
        std::string rest;
        rest.reserve(columns_size + fields.view().size());
        append_word(rest, columns.store);
        append_identifier(rest, columns.key == nullptr ? std::string_view() : columns.key->view());
        bool const has_token = columns.fencing_token != nullptr && *columns.fencing_token != fencing_token{};
        append_identifier(rest, has_token ? columns.fencing_token->view() : std::string_view());
        rest += ' ';
        append_number(rest, columns.attempt);
        append_word(rest, columns.what);
        append_word(rest, columns.how);
        rest += fields.view();
        rest += '\n';
        std::lock_guard const lock(mutex_);
        return append(rest);
    }

    void flush() {
        std::unique_lock lock(mutex_);
        written_.wait(lock, [&] { return lines_.empty() && !is_giving_; });
    }

    [[nodiscard]] std::uint64_t dropped() const noexcept {
        std::lock_guard const lock(mutex_);
        return dropped_;
    }

    [[nodiscard]] std::string local_name() {
        std::lock_guard const lock(mutex_);
        return "local." + std::to_string(++stores_);
    }

private:
    static constexpr std::size_t columns_size = 128;

    /// \pre the mutex is held
    trace_number append(std::string_view rest) {
        auto const number = ++number_;
        auto const time = clock_().count();
        auto& line = limit_ == 0 ? line_ : lines_;
        if (limit_ == 0) line_.clear();
        if (limit_ > 0 && lines_.size() + columns_size + rest.size() > limit_) {
            ++dropped_;
            return number;
        }
        line += trace_version;
        append_word(line, process_);
        line += ' ';
        append_number(line, number);
        line += ' ';
        append_number(line, static_cast<std::uint64_t>(std::max<std::int64_t>(time, 0)));
        line += rest;
        if (limit_ == 0) {
            give(line_, 1);
        } else {
            ++waiting_;
            changed_.notify_one();
        }
        return number;
    }

    /// The thread of a tracer with a buffer.
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return is_ending_ || !lines_.empty(); });
            if (lines_.empty()) return;
            auto const lines = std::exchange(lines_, std::string());
            auto const count = std::exchange(waiting_, 0);
            is_giving_ = true;
            lock.unlock();
            auto const is_written = try_give(lines);
            lock.lock();
            is_giving_ = false;
            if (!is_written) dropped_ += count;
            written_.notify_all();
        }
    }

    void give(std::string_view lines, std::uint64_t count) noexcept {
        if (!try_give(lines)) dropped_ += count;
    }

    /// A trace that cannot be written must not change what happens to a payment.
    bool try_give(std::string_view lines) noexcept {
        try {
            sink_(lines);
            return true;
        } catch (...) {
            return false;
        }
    }

    trace_sink sink_;
    std::size_t const limit_;
    std::function<std::chrono::microseconds()> clock_;
    std::string const process_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::condition_variable written_;
    std::string line_;
    std::string lines_;
    std::uint64_t waiting_ = 0;
    std::uint64_t number_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t stores_ = 0;
    bool is_giving_ = false;
    bool is_ending_ = false;
    std::thread thread_;
};

trace_number write_trace(tracer const& to, trace_columns const& columns, trace_fields const& fields) {
    return to.writer().write(columns, fields);
}

std::string local_store_name(tracer const& of) { return of.writer().local_name(); }

namespace {

/// What a trace has of the parts of a request: the stores tell the others.
bool is_traced_step(event const& told) {
    return told.step == event_step::handler || told.step == event_step::reconcile;
}

void write_event(trace_writer& to, event const& told) {
    bool const is_begin = told.type == event_type::step_began;
    bool const is_end = told.type == event_type::step_ended;
    if ((is_begin || is_end) && !is_traced_step(told)) return;
    trace_columns columns{.store = "-",
                          .key = &told.key,
                          .fencing_token = &told.fencing_token,
                          .attempt = told.attempt,
                          .what = "told",
                          .how = to_string(told.type)};
    trace_fields fields;
    if (is_begin || is_end) {
        columns.what = to_string(told.step);
        columns.how = is_begin ? "begun" : "ended";
    } else {
        if (told.status != 0) fields.add("status", told.status);
        if (told.type == event_type::store_error) fields.add("step", to_string(told.step));
    }
    if (told.error) fields.add("error", told.error);
    to.write(columns, fields);
}

}  // namespace

}  // namespace detail

trace_sink trace_to(std::ostream& out) {
    return [&out](std::string_view lines) {
        if (!(out << lines << std::flush)) throw std::runtime_error("trace_to: the stream has failed");
    };
}

tracer::tracer(trace_sink sink, trace_options options)
    : writer_(std::make_shared<detail::trace_writer>(std::move(sink), std::move(options))) {}

observer tracer::observing(idempo::observer next) const {
    return [writer = writer_, next = std::move(next)](event const& told) {
        detail::write_event(*writer, told);
        if (next) next(told);
    };
}

void tracer::flush() const { writer_->flush(); }

std::uint64_t tracer::dropped() const noexcept { return writer_->dropped(); }

}  // namespace idempo
