// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/agenda.hpp"
#include "simulation/chronicle.hpp"
#include "simulation/ground_truth.hpp"
#include "simulation/mutant.hpp"
#include "simulation/process_client.hpp"
#include "simulation/random.hpp"
#include "simulation/scenario.hpp"
#include "simulation/virtual_time.hpp"

#include <idempo/tracer.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace idempo::simulation {

/// What everybody in a world shares.
struct surroundings {
    using client_maker = std::function<std::shared_ptr<process_client>(
        std::size_t process, local_clock const& clock, asio::any_io_executor executor, process_client::entry enter)>;

    scenario& setup;
    mutant bug;
    random_source& random;
    agenda& plan;
    chronicle& told;
    ground_truth& truth;
    /// Of the store that this world has.
    client_maker make_client;
    /// Empty: there are no traces.
    trace_sink trace;
};

}  // namespace idempo::simulation
