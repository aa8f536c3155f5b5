#include <idempo/postgres/statements/impl/migrations.ipp>
#include <idempo/postgres/statements/impl/statements.ipp>
