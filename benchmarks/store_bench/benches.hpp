#pragma once

#include <cstddef>
#include <string>

/// \file
/// Each measures one store beside its server's own benchmark, and prints a table.

/// \param port of a redis-server that holds nothing else: it is emptied again and again
/// \param only_in_flight which lines of the table; 0: all
void bench_redis(std::string const& port, int repetitions, std::size_t only_in_flight);

/// \param connection as libpq reads it
/// \param analyze whether the server gathers its statistics while the table is empty
void bench_postgres(std::string const& connection, int repetitions, bool analyze);

/// The size of the table while so many keys come and go.
void churn_postgres(std::string const& connection, std::size_t keys);
