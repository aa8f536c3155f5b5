/* SPDX-License-Identifier: MIT */

/* Each operation of a store is a row of transitions.def, which check-trace reads, too. The runs named `table` show that
   the model makes each of these steps: without a row it makes a step that is in none. `pan` is told which row is left
   out. */

#define at_absent 1
#define at_live 2
#define at_over 4
#define at_done 8
#define at_free 16
#define at_parked 32
#define at_asked 64
#define at_open 6
#define at_there 14
#define at_held 70
#define at_other_open 112
#define at_stays 0

#define attempts_one 1
#define attempts_more 2
#define attempts_any 3

#define token_own 1
#define token_other 2
#define token_any 3

#define request_same 1
#define request_other 2
#define request_any 3

#define answer_granted granted
#define answer_in_flight in_flight
#define answer_mismatch mismatch
#define answer_completed completed
#define answer_expired expired
#define answer_done done
#define answer_held held
#define answer_lost lost
#define answer_parked parked
#define answer_kept kept
#define answer_refused refused
#define answer_settled settled

#define state_of_open(k) (rec[k].lease_over -> at_over : at_live)
#define state_of_other(k) \
    (rec[k].state == free -> at_free : (rec[k].state == parked -> at_parked : (rec[k].state == asked -> at_asked : at_done)))
#define state_of(k) (is_absent(k) -> at_absent : (rec[k].state == open -> state_of_open(k) : state_of_other(k)))

#define holder_same(k, t) (rec[k].token == found_token)
#define holder_caller(k, t) (rec[k].token == (t))
#define holder_nobody(k, t) (rec[k].token == nobody)

/* The model does not count beyond 2. An abandoned takeover keeps that number. */
#define number_one(k) (rec[k].attempt == 1)
#define number_plus(k) (rec[k].attempt == (found_attempt == 0 -> 1 : 2))
#define number_minus(k) (rec[k].attempt == found_attempt)
#define number_same(k) (rec[k].attempt == found_attempt)
#define number_none(k) (rec[k].attempt == 0)

#ifdef WITHOUT_A_ROW
c_decl {
\#include "rows.h"
}
#define is_there(name) c_expr { row_left_out != row_##name }
#else
#define is_there(name) true
#endif

#ifdef CHECK_in_table
hidden byte in_table;
hidden byte found_state, found_token, found_attempt, found_own, found_same, found_steps;

inline look_before(k, t) {
    found_state = state_of(k);
    found_token = rec[k].token;
    found_attempt = rec[k].attempt;
    found_own = (rec[k].token == (t) -> token_own : token_other);
    found_steps = has_steps(k);
    found_same = request_same
}

inline look_at_request(k, r) { found_same = (rec[k].request == (r) -> request_same : request_other) }

#define LATER(name, operation, at, attempt, token, asks, gives, next, whose, numbered, words)
#define STEP(name, operation, at, attempt, token, asks, gives, next, whose, numbered, words)                   \
    || is_there(name) && (the_operation & op_##operation) != 0 && (found_state & at_##at) != 0 &&                                \
       ((found_attempt <= 1 -> attempts_one : attempts_more) & attempts_##attempt) != 0 &&                     \
       (found_own & token_##token) != 0 && (found_same & request_##asks) != 0 && the_answer == answer_##gives && \
       state_of(the_key) == (at_##next == 0 -> found_state : at_##next) &&                                     \
       (is_absent(the_key) || holder_##whose(the_key, the_token) && number_##numbered(the_key))

inline must_be_in_table(the_operation, the_key, the_token, the_answer) {
    in_table = (false
#include "transitions.def"
    );
    assert(in_table)
}
#else
inline look_before(k, t) { skip }
inline look_at_request(k, r) { skip }
inline must_be_in_table(the_operation, the_key, the_token, the_answer) { skip }
#endif
