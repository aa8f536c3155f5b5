#pragma once

// In reading order.
#include <idempo/any_store.hpp>
#include <idempo/blocking.hpp>
#include <idempo/error.hpp>
#include <idempo/execution.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/handler.hpp>
#include <idempo/key.hpp>
#include <idempo/layer.hpp>
#include <idempo/memory_store.hpp>
#include <idempo/middleware.hpp>
#include <idempo/observer.hpp>
#include <idempo/offload.hpp>
#include <idempo/open_store.hpp>
#include <idempo/options.hpp>
#include <idempo/problem.hpp>
#include <idempo/read_request.hpp>
#include <idempo/scope.hpp>
#include <idempo/store.hpp>
#include <idempo/stored_response.hpp>
#include <idempo/version.hpp>
