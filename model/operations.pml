/* SPDX-License-Identifier: MIT */

/* The operations, as check-trace counts them, and the answer of those that have none. */

#define op_claim_over 1
#define op_claim_hold 2
#define op_claim 7
#define op_complete 8
#define op_claim_ask 4
#define op_abandon 16
#define op_abandon_steps 32
#define op_abandon_any 48
#define op_renew 64
#define op_save_step 128
#define op_park 256
#define op_settle_answer 512
#define op_settle_free 1024
#define op_settle_steps 2048
#define op_settle 3584

#define answer_ok 17

#if defined(RECONCILE)
#define claims op_claim_ask
#elif defined(HOLD)
#define claims op_claim_hold
#else
#define claims op_claim_over
#endif

/* What an operation is called may depend on what it found. */
#ifndef CHECK_in_table
#define found_steps false
#endif
