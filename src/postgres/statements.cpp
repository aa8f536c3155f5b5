// SPDX-License-Identifier: MIT
#include <idempo/postgres/statements/impl/filled.ipp>
#include <idempo/postgres/statements/impl/lock_number.ipp>
#include <idempo/postgres/statements/impl/migrations.ipp>
#include <idempo/postgres/statements/impl/statements.ipp>
