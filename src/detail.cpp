// SPDX-License-Identifier: MIT
#include <idempo/detail/impl/hmac_sha256.ipp>
#include <idempo/detail/impl/media_type.ipp>
#include <idempo/detail/impl/multipart.ipp>
#include <idempo/detail/impl/sha256.ipp>
#include <idempo/detail/impl/step_log.ipp>
#include <idempo/detail/impl/structured_field.ipp>
#include <idempo/detail/impl/target.ipp>
#include <idempo/detail/impl/traceparent.ipp>
