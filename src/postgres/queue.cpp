// SPDX-License-Identifier: MIT
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
