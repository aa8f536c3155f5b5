#include <idempo/detail/impl/hmac_sha256.ipp>
#include <idempo/detail/impl/sha256.ipp>
#include <idempo/detail/impl/structured_field.ipp>
