#include <idempo/http/impl/read_request.ipp>
