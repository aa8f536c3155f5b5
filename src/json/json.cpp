// SPDX-License-Identifier: MIT
#include <idempo/json/impl/acp.ipp>
#include <idempo/json/impl/canonical.ipp>
#include <idempo/json/impl/canonical_json.ipp>
#include <idempo/json/impl/string.ipp>
