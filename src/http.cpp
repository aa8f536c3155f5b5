// SPDX-License-Identifier: MIT
#include <idempo/http/impl/answer_and_close.ipp>
#include <idempo/http/impl/head_checks.ipp>
#include <idempo/http/impl/outgoing.ipp>
#include <idempo/http/impl/read_error.ipp>
#include <idempo/http/impl/read_request.ipp>
