#include <idempo/redis/connection/impl/connection.ipp>
#include <idempo/redis/connection/impl/handshake.ipp>
#include <idempo/redis/connection/impl/pipeline.ipp>
#include <idempo/redis/connection/impl/transport.ipp>
