// SPDX-License-Identifier: MIT
#include <idempo/redis/impl/options.ipp>
#include <idempo/redis/impl/rate_limiter.ipp>
#include <idempo/redis/impl/scheme.ipp>
#include <idempo/redis/impl/store.ipp>
#include <idempo/redis/impl/url.ipp>
