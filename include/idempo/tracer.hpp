// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/observer_fwd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

/// \file
/// Traces: what happened to each record, a line for each event, for `check-trace`. docs/traces.md describes the lines.
///
///     idempo::tracer trace(idempo::trace_to(file));
///     options.observer = trace.observing();
///     auto store = idempo::traced(redis_store, trace);  // idempo/stores/traced.hpp

namespace idempo {

/// Gets whole lines, each with its line break. Called by one thread at a time; what it throws is swallowed, and its
/// lines count as dropped. The view is valid during the call.
using trace_sink = std::function<void(std::string_view lines)>;

/// A sink that writes to `out` and flushes it. `out` must outlive the tracer.
[[nodiscard]] trace_sink trace_to(std::ostream& out);

/// How a tracer writes.
struct trace_options {
    /// Bytes of lines that may wait for the sink, which a thread of the tracer calls: no request waits for it. What
    /// does not fit is dropped and counted; the numbers of the lines show where. 0: no buffer and no thread; each event
    /// calls the sink where it happens, so that a process that is killed has written all that it did.
    std::size_t buffer_bytes = std::size_t{1} << 20U;
    /// Microseconds since 1970, never less than before. Empty: the system's clock at the start, and from then on the
    /// monotonic clock, so that a clock that is set changes nothing in the trace.
    std::function<std::chrono::microseconds()> clock{};
};

namespace detail {

class trace_writer;

/// The columns of a line that its writer does not know.
struct trace_columns {
    std::string_view store = "-";
    store_key const* key = nullptr;
    idempo::fencing_token const* fencing_token = nullptr;
    unsigned attempt = 0;
    std::string_view what;
    std::string_view how;
};

/// The rest of a line: ` name=value`, as much as there is room for.
class trace_fields {
public:
    trace_fields& add(std::string_view name, std::uint64_t value);
    trace_fields& add(std::string_view name, std::string_view word);
    trace_fields& add(std::string_view name, error_code error);
    [[nodiscard]] std::string_view view() const noexcept { return text_; }

private:
    std::string text_;
};

/// Eight digits that two different bytes strings hardly share. Not a digest: it only tells answers apart.
[[nodiscard]] std::string trace_checksum(std::string_view bytes);

}  // namespace detail

/// Writes the trace of this process. A handle: copies share the writer, and any member may be called from any thread.
/// The last copy writes what waits, and that the trace ends here; middleware and traced stores keep copies.
class tracer {
public:
    /// \throws std::invalid_argument if the sink is empty
    /// \throws std::system_error if there is no thread to be had
    explicit tracer(trace_sink sink, trace_options options = {});

    /// An observer that writes what it is told, and then calls `next`, if any.
    [[nodiscard]] idempo::observer observing(idempo::observer next = {}) const;

    /// Returns when the sink has got all lines that were written before.
    void flush() const;

    /// Lines that were dropped: there was no room, or the sink has thrown.
    [[nodiscard]] std::uint64_t dropped() const noexcept;

    /// For stores.
    [[nodiscard]] detail::trace_writer& writer() const noexcept { return *writer_; }

private:
    std::shared_ptr<detail::trace_writer> writer_;
};

namespace detail {

/// The number of a line, unique in its process.
using trace_number = std::uint64_t;

/// Writes a line and returns its number.
trace_number write_trace(tracer const& to, trace_columns const& columns, trace_fields const& fields);

/// A name for a store that lives in this process, with a number of its own.
[[nodiscard]] std::string local_store_name(tracer const& of);

}  // namespace detail

}  // namespace idempo
