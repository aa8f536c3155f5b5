/* SPDX-License-Identifier: MIT */

/* The operations, as check-trace counts them, and the answer of those that have none. */

#define op_claim_over 1
#define op_claim_hold 2
#define op_claim 7
#define op_complete 8
#define op_abandon 16
#define op_renew 64

#define answer_ok 17

#ifdef HOLD
#define claims op_claim_hold
#else
#define claims op_claim_over
#endif
