// SPDX-License-Identifier: MIT
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
