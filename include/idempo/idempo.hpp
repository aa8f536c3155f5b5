// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Everything but the stores in Redis (`idempo/redis/store.hpp`) and in PostgreSQL (`idempo/postgres/store.hpp`).

#include <idempo/error.hpp>
#include <idempo/execution.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/handler.hpp>
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/outgoing.hpp>
#include <idempo/http/read_error.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/key.hpp>
#include <idempo/layers/client.hpp>
#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/layer.hpp>
#include <idempo/layers/memory_rate_limiter.hpp>
#include <idempo/layers/middleware.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/listing.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/request_head.hpp>
#include <idempo/scope.hpp>
#include <idempo/step.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/stores/open_store.hpp>
#include <idempo/stores/ready.hpp>
#include <idempo/stores/settle.hpp>
#include <idempo/version.hpp>
