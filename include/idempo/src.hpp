// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The implementation of the library, for builds without its CMake targets: include it in exactly one translation unit,
/// and link OpenSSL's libcrypto.

#include <idempo/detail/impl/hmac_sha256.ipp>
#include <idempo/detail/impl/media_type.ipp>
#include <idempo/detail/impl/multipart.ipp>
#include <idempo/detail/impl/sha256.ipp>
#include <idempo/detail/impl/step_log.ipp>
#include <idempo/detail/impl/structured_field.ipp>
#include <idempo/detail/impl/target.ipp>
#include <idempo/detail/impl/traceparent.ipp>
#include <idempo/exchange/impl/exchange.ipp>
#include <idempo/exchange/impl/step_saving.ipp>
#include <idempo/http/impl/answer_and_close.ipp>
#include <idempo/http/impl/head_checks.ipp>
#include <idempo/http/impl/outgoing.ipp>
#include <idempo/http/impl/read_error.ipp>
#include <idempo/http/impl/read_request.ipp>
#include <idempo/impl/digest_key.ipp>
#include <idempo/impl/error.ipp>
#include <idempo/impl/execution.ipp>
#include <idempo/impl/fingerprint.ipp>
#include <idempo/impl/identifiers.ipp>
#include <idempo/impl/key.ipp>
#include <idempo/impl/listing.ipp>
#include <idempo/impl/observer.ipp>
#include <idempo/impl/options.ipp>
#include <idempo/impl/problem.ipp>
#include <idempo/impl/same_request.ipp>
#include <idempo/impl/scope.ipp>
#include <idempo/impl/tracer.ipp>
#include <idempo/impl/version.ipp>
#include <idempo/layers/impl/client.ipp>
#include <idempo/layers/impl/cors.ipp>
#include <idempo/layers/impl/filter.ipp>
#include <idempo/layers/impl/filtered.ipp>
#include <idempo/layers/impl/hmac_auth.ipp>
#include <idempo/layers/impl/memory_rate_limiter.ipp>
#include <idempo/layers/impl/rate.ipp>
#include <idempo/layers/impl/rate_limit.ipp>
#include <idempo/layers/impl/signature.ipp>
#include <idempo/record/impl/captured_generator.ipp>
#include <idempo/record/impl/replay_message.ipp>
#include <idempo/record/impl/response_fields.ipp>
#include <idempo/record/impl/stored_response.ipp>
#include <idempo/stores/impl/heartbeat.ipp>
#include <idempo/stores/impl/memory_store.ipp>
#include <idempo/stores/impl/open_store.ipp>
#include <idempo/stores/impl/per_core_shared_mutex.ipp>
#include <idempo/stores/impl/record_memory.ipp>
#include <idempo/stores/impl/record_seal.ipp>
#include <idempo/stores/impl/url_scheme.ipp>
#include <idempo/stores/impl/used_keys.ipp>
