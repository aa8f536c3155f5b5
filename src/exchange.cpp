// SPDX-License-Identifier: MIT
#include <idempo/exchange/impl/exchange.ipp>
