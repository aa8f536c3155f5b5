/* SPDX-License-Identifier: MIT */

/* The history of a key. No store and no process knows it; the properties need it. */
typedef history {
    byte effects;  /* in the life of the record; more than two are not told apart */
    byte seen      /* whose answer a client saw first: nobody's, a token's, or `stored` */
}
history past_of[KEYS];

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
