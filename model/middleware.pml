/* SPDX-License-Identifier: MIT */

/* The middleware: its decisions about one attempt of a client, as in include/idempo/exchange/impl/exchange.ipp.

   A client is idle, claiming (it sent Claim and has no answer), running (the handler has not had its effect yet) or ran
   (the handler had its effect, and its answer is not stored yet). With steps, it has kept its step before it has an
   answer. With reconcile, it is asking under its claim, and cleared when the handler may run. It is parking when the
   handler does not know its outcome. A client that retries while its first attempt still runs counts as two clients. */

#define idle 0
#define claiming 1
#define looked 2 /* only where a bug splits Claim in two */
#define running 3
#define ran 4
#define stepped 5
#define asking 6
#define cleared 7
#define parking 8

/* These are arrays because Spin does not accept a field of a typedef as an argument of a nested inline. */
byte at[CLIENTS];
byte key_of[CLIENTS];
bit request_of[CLIENTS];
byte number_of[CLIENTS];  /* the attempt's number, as the handler is told */
bit live[CLIENTS];        /* its lease has not ended; the client does not know */

#define had_effect(c) (at[c] == ran)
#ifdef STEPS
#define answered stepped
#else
#define answered ran
#endif
#define has_answer(c) (at[c] == answered)
#define my_token token_of(me)
#define my_key key_of[me]
#define my_request request_of[me]

#define is_busy_with(c, k) (at[c] != idle && key_of[c] == (k))
#define runs_under(c, k) (at[c] != idle && key_of[c] == (k) && holds(k, token_of(c)))
#define somebody_is_busy_with(k) any_client(is_busy_with, k)
#define somebody_runs_under(k) any_client(runs_under, k)

/* Idle clients are alike. So it is enough that the first of them begins. */
#define is_idle(c) (c < CLIENTS && at[(c) % CLIENTS] == idle)
#define first_idle (is_idle(0) -> 0 : (is_idle(1) -> 1 : (is_idle(2) -> 2 : (is_idle(3) -> 3 : CLIENTS))))
#define may_claim(c) (first_idle == c || at[c] == claiming)

inline begin_attempt(me) {
    if
    :: my_key = 0
#if KEYS > 1
    :: my_key = 1
#endif
    fi;
    if
    :: my_request = 0
#if REQUESTS > 1
    :: my_request = 1
#endif
    fi;
    at[me] = claiming
}

/* From now on only a late call can present this token. */
inline end_attempt(me) {
#ifdef LATE_CALLS
    if
    :: late_token == my_token ->
        rename_everywhere(my_key, my_token, late);
        late_token = late
    :: else -> rename_everywhere(my_key, my_token, past)
    fi;
#else
    rename_everywhere(my_key, my_token, past);
#endif
    at[me] = idle;
    my_key = 0;
    number_of[me] = 0;
    my_request = 0;
    live[me] = false
}

/* The answer arrives or not: the client may be gone, or its server may die before it sends. */
inline client_gets_stored(me) {
    if
    :: sees_stored(my_key)
    :: skip
    fi
}

inline run_handler(me) {
    must_begins_held(holds(my_key, my_token));
    must_steps_stay(!step_was_kept(my_key) || has_steps(my_key));
    must_parked_stays(!is_unknown(my_key));
    at[me] = (has_steps(my_key) -> stepped : running);
    number_of[me] = rec[my_key].attempt;
    live[me] = !rec[my_key].lease_over;
    rec[my_key].began = true;
    must_one_run(live_runs(my_key) <= 1);
    must_told(past_of[my_key].effects == 0 || number_of[me] > 1 || has_steps(my_key));
    must_same_request(rec[my_key].request == my_request)
}

#ifdef RECONCILE
inline ask(me) {
    at[me] = asking;
    live[me] = !rec[my_key].lease_over;
    must_one_run(live_runs(my_key) <= 1)
}

/* The effect did not happen, or the handler goes on after its step. */
#define may_run_again(k) (past_of[k].effects == 0 || step_was_kept(k))

inline run_again(me) {
    now_known(my_key);
    run_handler(me)
}
#endif

/* Reconcile is asked about takeovers and parked records. */
inline go_on(me) {
#ifdef RECONCILE
    if
    :: rec[my_key].attempt > 1 -> ask(me)
    :: else -> run_handler(me)
    fi
#else
    run_handler(me)
#endif
}

inline replay(me) {
    must_same_request(rec[my_key].request == my_request);
    must_no_replay(false);
#if !defined(GUARD)
    if
    :: !rec[my_key].tombstone -> client_gets_stored(me)
    :: else /* 409: the response was not retained */
    fi;
#elif defined(BUG_guard_repeats_success)
    must_one_success(past_of[my_key].seen == nobody);
    sees_stored(my_key);
#endif
    end_attempt(me)
}

/* Complete found that another token holds the record. */
inline fenced_off(me) {
    must_no_fencing(false);
#ifdef BUG_zombie_answers_itself
    sees_answer_of(my_key, my_token);
    end_attempt(me)
#else
    if
    :: met == completed -> replay(me)
    :: else -> end_attempt(me) /* 409 */
    fi
#endif
}

inline answer(me) {
    if
    :: must_one_success(past_of[my_key].seen == nobody);
        sees_stored(my_key)
    :: skip
    fi;
    end_attempt(me)
}

/* The middleware sends Abandon once. It may be lost or late. */
inline give_up(me, by_policy) {
    if
    :: abandon(my_key, my_token, by_policy)
#ifdef LOST_CALLS
    :: skip
#endif
#ifdef LATE_CALLS
    :: network_is_free -> send_late(late_abandon, my_key, my_request, my_token, by_policy)
#endif
    fi
}
