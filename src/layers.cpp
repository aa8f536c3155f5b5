// SPDX-License-Identifier: MIT
#include <idempo/layers/impl/client.ipp>
#include <idempo/layers/impl/cors.ipp>
#include <idempo/layers/impl/filter.ipp>
#include <idempo/layers/impl/filtered.ipp>
#include <idempo/layers/impl/hmac_auth.ipp>
#include <idempo/layers/impl/memory_rate_limiter.ipp>
#include <idempo/layers/impl/rate.ipp>
#include <idempo/layers/impl/rate_limit.ipp>
#include <idempo/layers/impl/signature.ipp>
