#include <idempo/postgres/connection/impl/binary_parameters.ipp>
#include <idempo/postgres/connection/impl/connection.ipp>
#include <idempo/postgres/connection/impl/context_threads.ipp>
#include <idempo/postgres/connection/impl/libpq_connect.ipp>
#include <idempo/postgres/connection/impl/pqxx_versions.ipp>
#include <idempo/postgres/connection/impl/socket_watch.ipp>
