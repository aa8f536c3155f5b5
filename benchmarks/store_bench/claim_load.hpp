// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// \file
/// What the benchmarks of the Redis store have in common.

inline double per_second(std::size_t count, std::chrono::steady_clock::duration time) {
    return static_cast<double>(count) / std::chrono::duration<double>(time).count();
}

inline idempo::claim_request new_claim() {
    idempo::claim_request claim{
        {}, {{1}}, idempo::make_fencing_token(), std::chrono::seconds(30), std::chrono::hours(1), true};
    for (std::size_t half : {0U, 16U}) {
        auto const random = idempo::make_fencing_token();
        std::copy(random.bytes.begin(), random.bytes.end(), claim.key.bytes.begin() + half);
    }
    return claim;
}

/// Keeps so many claims in flight until all are answered: each answer starts the next claim.
class claim_load {
public:
    claim_load(idempo::redis_store& store, std::vector<idempo::claim_request> const& claims)
        : store_(store),
          claims_(claims) {}

    double run(boost::asio::io_context& context, std::size_t in_flight, std::size_t operations) {
        operations_ = operations;
        auto const start = std::chrono::steady_clock::now();
        while (started_ < in_flight) begin_next();
        while (answered_ < operations_) context.run_one();
        return per_second(operations_, std::chrono::steady_clock::now() - start);
    }

private:
    void begin_next() {
        store_.async_claim(claims_[started_++ % claims_.size()],
                           [this](idempo::error_code error, idempo::claim_result const&) {
                               if (error) throw std::runtime_error(error.message());
                               ++answered_;
                               if (started_ < operations_) begin_next();
                           });
    }

    idempo::redis_store& store_;
    std::vector<idempo::claim_request> const& claims_;
    std::size_t operations_ = 0;
    std::size_t started_ = 0;
    std::size_t answered_ = 0;
};

inline std::string output_of(std::string const& command) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> part{};
    while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) output += part.data();
    return output;
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

inline double median_ratio(std::vector<double> const& of, std::vector<double> const& to) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < of.size(); ++i) ratios.push_back(of[i] / to[i]);
    return median(std::move(ratios));
}
