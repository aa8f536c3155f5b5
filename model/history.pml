/* SPDX-License-Identifier: MIT */

/* The history of a key. No store and no process knows it; the properties need it. */
typedef history {
    byte effects;  /* in the life of the record; more than two are not told apart */
#ifdef STEPS
    bit step;      /* the store has said that it keeps the step */
#endif
#ifdef PARKING
    bit unknown;   /* the record is parked, and nobody has said what may follow */
#endif
    byte seen      /* whose answer a client saw first: nobody's, a token's, or `stored` */
}
history past_of[KEYS];

#ifdef STEPS
#define step_was_kept(k) past_of[k].step
#define step_is_kept(k) past_of[k].step = true
#else
#define step_was_kept(k) false
#define step_is_kept(k) skip
#endif
#ifdef PARKING
#define is_unknown(k) past_of[k].unknown
#define now_known(k) past_of[k].unknown = false
#else
#define is_unknown(k) false
#define now_known(k) skip
#endif

/* The record is gone, and the next request is a new one. */
inline forget_past(k) {
#ifdef STEPS
    past_of[k].step = false;
#endif
    now_known(k);
    past_of[k].seen = nobody
}

/* The client runs, and the lease of its claim has not ended by the store's clock. */
#define is_live(c, k) (at[c] >= running && key_of[c] == (k) && live[c])
#define live_runs(k) count_clients(is_live, k)

/* The handler's effect. Nothing can take it back. */
inline effect(k) {
    must_one_effect(past_of[k].effects == 0);
    if
    :: past_of[k].effects < 2 -> past_of[k].effects++
    :: else
    fi
}

/* A client receives the answer that the record has. */
inline sees_stored(k) {
    printf("... a client sees the stored answer\n");
    must_answers_agree(past_of[k].seen == nobody || past_of[k].seen == stored);
    past_of[k].seen = stored
}

/* A client receives the answer of the execution with token t, whether the record has that answer or not. */
inline sees_answer_of(k, t) {
    if
    :: rec[k].state == done && rec[k].token == (t) -> sees_stored(k)
    :: else ->
        printf("... a client sees an answer that is not stored\n");
        must_answers_agree(past_of[k].seen == nobody || past_of[k].seen == (t));
        past_of[k].seen = t
    fi
}

/* The record loses its answer. From now on its token names the answer that a client saw. */
inline answer_is_gone(k) {
    rename(past_of[k].seen, stored, rec[k].token)
}
