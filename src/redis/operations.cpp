// SPDX-License-Identifier: MIT
#include <idempo/redis/operations/impl/listing.ipp>
#include <idempo/redis/operations/impl/operations.ipp>
#include <idempo/redis/operations/impl/peek_many_operation.ipp>
#include <idempo/redis/operations/impl/record.ipp>
#include <idempo/redis/operations/impl/scan_operation.ipp>
#include <idempo/redis/operations/impl/script.ipp>
#include <idempo/redis/operations/impl/script_answer.ipp>
#include <idempo/redis/operations/impl/take_operation.ipp>
