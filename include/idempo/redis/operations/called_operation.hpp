// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/operation.hpp>

#include <idempo/detail/pending_handler.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace idempo::redis {

/// The handler of a call that results in nothing but an error code takes that alone.
struct nothing {};

template <class Result>
struct signature_of {
    using type = void(error_code, Result);
};
template <>
struct signature_of<nothing> {
    using type = void(error_code);
};

/// What a result says that stands for a record of the caller's: replicas may be waited for. Nothing, in other calls.
template <class Result>
struct written_of {
    using type = void;
};
template <>
struct written_of<claim_result> {
    using type = granted;
};
template <>
struct written_of<complete_result> {
    using type = done;
};

/// The call's other half: a result, and the handler that is told of it, as if by post.
template <class Result>
class called_operation : public operation {
public:
    using handler = typename idempo::detail::pending_handler<typename signature_of<Result>::type>::handler;

    called_operation(store_key const& of, std::string server_key, boost::asio::any_io_executor executor, handler done,
                     operation_kind kind = operation_kind::ordered)
        : operation(of, std::move(server_key), kind),
          done_(std::move(done), executor),
          executor_(std::move(executor)) {}

    void settle() final { tell(error_); }

    void fail(error_code error) final {
        result_ = {};
        tell(error);
    }

    [[nodiscard]] bool is_settled() const noexcept final { return done_.is_called(); }

protected:
    /// What `read` has found; as after construction where it has found nothing, or the caller has been told.
    [[nodiscard]] Result const& result() const noexcept { return result_; }

    reading answer(Result result) {
        result_ = std::move(result);
        if constexpr (!std::is_void_v<written>) {
            if (std::holds_alternative<written>(result_)) return reading::written;
        }
        return reading::answered;
    }

    /// What has been written, too, if anything.
    reading answer_write(bool is_done) {
        result_ = is_done;
        return is_done ? reading::written : reading::answered;
    }
    reading answer_write(error_code error) { return answer(error); }

    reading answer(error_code error) {
        error_ = error;
        return reading::answered;
    }

private:
    using written = typename written_of<Result>::type;

    void tell(error_code error) {
        if constexpr (std::is_same_v<Result, nothing>) {
            done_.post(executor_, error);
        } else {
            done_.post(executor_, error, std::move(result_));
        }
    }

    idempo::detail::pending_handler<typename signature_of<Result>::type> done_;
    boost::asio::any_io_executor executor_;
    Result result_{};
    error_code error_;
};

}  // namespace idempo::redis
