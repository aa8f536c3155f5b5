/* SPDX-License-Identifier: MIT */

/* Seeded bugs that add a step or split one. The bugs that break a rule of the store are in rules.pml. */

#if defined(BUG_claim_in_two_steps) /* GET, and then SET */
#define WRONG_STEPS                                                                 \
    :: atomic { first_idle == me && is_absent(0) -> begin_attempt(me); at[me] = looked } \
    :: atomic { at[me] == looked -> write_claim(my_key, my_request, my_token, 1); run_handler(me) }

#elif defined(BUG_takeover_in_two_steps) /* two rivals see the same ended lease */
#define WRONG_STEPS                                                                 \
    :: atomic {                                                                     \
        first_idle == me && rec[0].state == open && rec[0].lease_over ->            \
        begin_attempt(me);                                                          \
        at[me] = looked                                                              \
    }                                                                               \
    :: atomic { at[me] == looked -> write_claim(my_key, my_request, my_token, 2); run_handler(me) }

#elif defined(BUG_answer_before_store)
#define WRONG_STEPS :: atomic { at[me] == ran -> sees_answer_of(my_key, my_token) }

#elif defined(BUG_retry_with_new_token)
#define WRONG_STEPS                                                 \
    :: atomic {                                                     \
        at[me] == claiming && late_token != my_token ->        \
        was_mine = holds(my_key, my_token);                         \
        rename_everywhere(my_key, my_token, past);                  \
        claim(my_key, my_request, my_token);                        \
        must_own_claim(!was_mine || met != in_flight);              \
        was_mine = false;                                           \
        met = 0;                                                    \
        end_attempt(me)                                             \
    }

#elif defined(BUG_claim_is_abandoned_and_runs) /* Claim timed out, and its answer arrives after all */
#define WRONG_STEPS                                                                                              \
    :: atomic {                                                                                                  \
        at[me] == claiming && network_is_free -> send_late(late_abandon, my_key, my_request, my_token, false)     \
    }

#elif defined(BUG_abandon_when_complete_fails) /* or after keep() */
#define WRONG_STEPS :: atomic { at[me] == ran -> give_up(me, false); end_attempt(me) }

#elif defined(BUG_abandon_when_client_is_gone) /* the coroutine was cancelled, and the handler goes on */
#define WRONG_STEPS :: atomic { at[me] == running -> abandon(my_key, my_token, false) }

#elif defined(BUG_abandon_at_shutdown) /* a destructor that releases */
#define WRONG_STEPS :: atomic { at[me] >= running -> give_up(me, false); end_attempt(me) }

#elif defined(BUG_large_answer_is_released) /* no tombstone */
#define WRONG_STEPS :: atomic { at[me] == ran -> give_up(me, true); end_attempt(me) }

#elif defined(BUG_reply_of_another_call) /* the reply to another caller's Claim */
#define WRONG_STEPS                                     \
    :: atomic {                                         \
        may_claim(me) ->                                \
        if                                              \
        :: at[me] == idle -> begin_attempt(me)           \
        :: else                                         \
        fi;                                             \
        claim(my_key, my_request, my_token);            \
        if                                              \
        :: met == in_flight -> run_handler(me)          \
        :: else -> end_attempt(me)                      \
        fi;                                             \
        met = 0                                         \
    }

#else
#define WRONG_STEPS
#endif
