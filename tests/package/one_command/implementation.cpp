// The one translation unit that defines the library, where nobody has built it.

#include <idempo/postgres/src.hpp>
#include <idempo/redis/src.hpp>
#include <idempo/src.hpp>
