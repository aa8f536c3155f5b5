#include <idempo/exchange/impl/exchange.ipp>
