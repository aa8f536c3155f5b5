// SPDX-License-Identifier: MIT
#include <idempo/redis/connection/impl/address_book.ipp>
#include <idempo/redis/connection/impl/connect_fsm.ipp>
#include <idempo/redis/connection/impl/connection.ipp>
#include <idempo/redis/connection/impl/connection_fsm.ipp>
#include <idempo/redis/connection/impl/credentials.ipp>
#include <idempo/redis/connection/impl/handshake.ipp>
#include <idempo/redis/connection/impl/name_resolver.ipp>
#include <idempo/redis/connection/impl/own_command.ipp>
#include <idempo/redis/connection/impl/pipeline.ipp>
#include <idempo/redis/connection/impl/transport.ipp>
