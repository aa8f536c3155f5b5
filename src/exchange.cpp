// SPDX-License-Identifier: MIT
#include <idempo/exchange/impl/exchange.ipp>
#include <idempo/exchange/impl/step_saving.ipp>
