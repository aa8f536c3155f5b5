// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The implementation of the store in PostgreSQL, beside `idempo/src.hpp`: include it in exactly one translation unit,
/// and link libpqxx and libpq.

#include <idempo/postgres/connection/impl/binary_parameters.ipp>
#include <idempo/postgres/connection/impl/connection.ipp>
#include <idempo/postgres/connection/impl/context_threads.ipp>
#include <idempo/postgres/connection/impl/late_processes.ipp>
#include <idempo/postgres/connection/impl/libpq_connect.ipp>
#include <idempo/postgres/connection/impl/libpq_socket.ipp>
#include <idempo/postgres/connection/impl/libpq_wait.ipp>
#include <idempo/postgres/connection/impl/pipeline.ipp>
#include <idempo/postgres/connection/impl/pqxx_versions.ipp>
#include <idempo/postgres/connection/impl/prepared_statements.ipp>
#include <idempo/postgres/connection/impl/result.ipp>
#include <idempo/postgres/connection/impl/socket_watch.ipp>
#include <idempo/postgres/connection/impl/statement_io.ipp>
#include <idempo/postgres/impl/migrate.ipp>
#include <idempo/postgres/impl/options.ipp>
#include <idempo/postgres/impl/scheme.ipp>
#include <idempo/postgres/impl/store.ipp>
#include <idempo/postgres/queue/impl/batch.ipp>
#include <idempo/postgres/queue/impl/client.ipp>
#include <idempo/postgres/queue/impl/condition.ipp>
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
#include <idempo/postgres/statements/impl/migrations.ipp>
#include <idempo/postgres/statements/impl/statements.ipp>
#include <idempo/postgres/transaction/impl/keyed_transaction.ipp>
#include <idempo/postgres/transaction/impl/transaction_fsm.ipp>
#include <idempo/postgres/transaction/impl/transaction_pool.ipp>
#include <idempo/postgres/transaction/impl/transaction_text.ipp>
#include <idempo/postgres/transaction/impl/transactional.ipp>
#include <idempo/postgres/transaction/impl/transactional_options.ipp>
