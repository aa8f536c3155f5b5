// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/record/record_writer.hpp>
#include <idempo/shared_bytes.hpp>

#include <boost/beast/http/message_generator.hpp>
#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::detail {

namespace http = boost::beast::http;

/// What a `message_generator` was to send: drained into bytes, and read as the response that they are.
///
/// A generator does not say what it holds, and it can be read only once. So the bytes are kept, for the client, and the
/// views into them, for the record. Draining stops `head_allowance` bytes past `max_body`: then it is not storable,
/// and what is still in the generator goes on to the client without being kept in memory.
class captured_generator {
public:
    /// Room for the head and for the sizes of chunks, which do not count as body.
    static constexpr std::size_t head_allowance = std::size_t{64} << 10;

    /// Drains `source`; reads files, if that is what its body does. What it throws is thrown again where the released
    /// generator comes to that place.
    /// \param dropped a field that the response loses; empty: none
    explicit captured_generator(http::message_generator source, std::size_t max_body, std::string_view dropped = {});

    /// Empty when the bytes do not begin with the status line of an HTTP response.
    [[nodiscard]] std::optional<unsigned> status() const noexcept { return status_; }

    /// Empty when the response is not storable: as `make_record`, also when it is not one whole HTTP response, is too
    /// long to be drained, or its generator failed.
    [[nodiscard]] std::optional<shared_bytes> record(capture_policy const& policy) const;

    /// Sends exactly the bytes that the handler's generator would have sent, reports its error at the same place, and
    /// has its `keep_alive()`.
    [[nodiscard]] http::message_generator release() &&;

private:
    class response_reader;

    void drain(http::message_generator source, std::size_t limit);
    bool drain_some(http::message_generator& source, std::size_t limit);
    /// Finds the parts of the response in the drained bytes.
    void read(std::string_view dropped);

    std::vector<char> drained_;
    /// Has a value where draining stopped.
    std::optional<http::message_generator> rest_;
    /// Of the generator, after the last of the drained bytes.
    error_code failure_;
    bool keep_alive_;

    // Views into drained_, whose bytes stay where they are when this object is moved.
    record_writer head_{500, {}};
    boost::container::small_vector<std::string_view, 1> body_;
    std::optional<unsigned> status_;
    /// A field of the handler's that does not go out.
    std::optional<std::string> dropped_;
    bool storable_ = false;
};

}  // namespace idempo::detail
