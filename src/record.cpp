// SPDX-License-Identifier: MIT
#include <idempo/record/impl/captured_generator.ipp>
#include <idempo/record/impl/replay_message.ipp>
#include <idempo/record/impl/response_fields.ipp>
#include <idempo/record/impl/stored_response.ipp>
