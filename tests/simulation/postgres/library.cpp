// SPDX-License-Identifier: MIT

// The store in PostgreSQL once more, compiled with the timers of the simulation. Of `idempo/postgres/src.hpp` these
// files are left out: `context_threads.ipp` and `condition.ipp` (threads.cpp stands for them), `libpq_connect.ipp` and
// `libpq_socket.ipp` (libpq.cpp does), and what only migrations, URLs and the transactional mode need.
#include <idempo/postgres/connection/impl/binary_parameters.ipp>
#include <idempo/postgres/connection/impl/connection.ipp>
#include <idempo/postgres/connection/impl/late_processes.ipp>
#include <idempo/postgres/connection/impl/libpq_wait.ipp>
#include <idempo/postgres/connection/impl/prepared_statements.ipp>
#include <idempo/postgres/connection/impl/result.ipp>
#include <idempo/postgres/connection/impl/statement_io.ipp>
#include <idempo/postgres/impl/options.ipp>
#include <idempo/postgres/impl/store.ipp>
#include <idempo/postgres/queue/impl/batch.ipp>
#include <idempo/postgres/queue/impl/client.ipp>
#include <idempo/postgres/queue/impl/dispatcher.ipp>
#include <idempo/postgres/queue/impl/operation_queue.ipp>
#include <idempo/postgres/queue/impl/page_walk.ipp>
#include <idempo/postgres/queue/impl/record_row.ipp>
#include <idempo/postgres/queue/impl/sweeper.ipp>
#include <idempo/postgres/queue/impl/sweeper_thread.ipp>
#include <idempo/postgres/queue/impl/worker.ipp>
#include <idempo/postgres/queue/impl/worker_fsm.ipp>
#include <idempo/postgres/statements/impl/filled.ipp>
#include <idempo/postgres/statements/impl/lock_number.ipp>
#include <idempo/postgres/statements/impl/statements.ipp>
