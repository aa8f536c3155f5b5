// SPDX-License-Identifier: MIT
#include <idempo/postgres/transaction/impl/keyed_transaction.ipp>
#include <idempo/postgres/transaction/impl/transaction_fsm.ipp>
#include <idempo/postgres/transaction/impl/transaction_pool.ipp>
#include <idempo/postgres/transaction/impl/transaction_text.ipp>
#include <idempo/postgres/transaction/impl/transactional.ipp>
#include <idempo/postgres/transaction/impl/transactional_options.ipp>
