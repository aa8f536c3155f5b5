// SPDX-License-Identifier: MIT
#include <idempo/postgres/impl/migrate.ipp>
#include <idempo/postgres/impl/options.ipp>
#include <idempo/postgres/impl/scheme.ipp>
#include <idempo/postgres/impl/store.ipp>
