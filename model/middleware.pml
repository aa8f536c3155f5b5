/* What the middleware does with one attempt of a client: src/exchange.cpp and a driver, without what is no decision.

   An attempt is idle, claiming (a Claim was sent and is not answered), running (the handler has not had its effect) or
   ran (it has, and its answer is not stored). A client that gives up and tries again while its first attempt goes on is
   two clients here. */

#define idle 0
#define claiming 1
#define looked 2 /* only where a bug splits Claim in two */
#define running 3
#define ran 4

/* Arrays and not a typedef: Spin takes no fields as arguments of an inline. */
byte at[CLIENTS];
byte key_of[CLIENTS];
bit request_of[CLIENTS];
byte number_of[CLIENTS];  /* the attempt's number, as the handler is told */
bit live[CLIENTS];        /* the lease that it was promised has not ended; it does not know */

#define had_effect(c) (at[c] == ran)
#define my_token token_of(me)
#define my_key key_of[me]
#define my_request request_of[me]

#define is_busy_with(c, k) (at[c] != idle && key_of[c] == (k))
#define runs_under(c, k) (at[c] != idle && key_of[c] == (k) && holds(k, token_of(c)))
#define somebody_is_busy_with(k) any_client(is_busy_with, k)
#define somebody_runs_under(k) any_client(runs_under, k)

/* Idle clients are alike, so it is always the first of them that begins. */
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

/* Nobody presents this token again but a call that is still on its way. */
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

/* The step after which the client has an answer or not: it may be gone, or its server may die, before it arrives. */
inline client_gets_stored(me) {
    if
    :: sees_stored(my_key)
    :: skip
    fi
}

inline run_handler(me) {
    at[me] = running;
    number_of[me] = rec[my_key].attempt;
    live[me] = !rec[my_key].lease_over;
    rec[my_key].began = true;
    must_one_run(live_runs(my_key) <= 1);
    must_told(past_of[my_key].effects == 0 || number_of[me] > 1);
    must_same_request(rec[my_key].request == my_request)
}

inline replay(me) {
    must_same_request(rec[my_key].request == my_request);
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

/* Complete said that somebody else holds the record. */
inline fenced_off(me) {
#ifdef BUG_zombie_answers_itself
    sees_unstored(my_key, my_token);
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

/* Abandon is sent once. It may be lost, or late. */
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
