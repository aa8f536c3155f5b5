// SPDX-License-Identifier: MIT
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
