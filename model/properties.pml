/* What must hold. Each property is an assertion at the step that could break it, so that a search is a search for a
   single state and needs no automaton. A run chooses its properties by -DCHECK_name.

     one_run           at most one execution runs under an unexpired claim of a key
     one_effect        the effect happens at most once in the life of a record
     one_success       guard mode: at most one client is told that its request succeeded
     answers_agree     every client that sees an answer sees the same one
     stored_stays      a stored answer is never replaced, and never reopened
     ran_is_kept       a claim under which a handler began is given up only when the policy says so
     told              an execution that begins after an effect is told so: its attempt is 2 or more
     same_request      a handler begins only for the request that the record is about, and a replay goes only to it
     own_claim         a retried Claim is not refused because of itself
     holder_completes  Complete of the holder stores, whether its lease has ended or not
     only_holder       Complete, Renew and Abandon change a record only for the token that holds it
     renew_is_true     Renew says "held" only to the token that holds the record

   One more is about what happens in the end, so it is in LTL: `no_stuck_key`, below. */

/* `hidden` keeps them out of the state: they are true wherever a search goes on. */
hidden byte one_run, one_effect, one_success, answers_agree, stored_stays, ran_is_kept;
hidden byte told, same_request, own_claim, holder_completes, only_holder, renew_is_true;

#define must(name, condition) name = (condition); assert(name)

#ifdef CHECK_one_run
#define must_one_run(c) must(one_run, c)
#else
#define must_one_run(c) skip
#endif
#ifdef CHECK_one_effect
#define must_one_effect(c) must(one_effect, c)
#else
#define must_one_effect(c) skip
#endif
#ifdef CHECK_one_success
#define must_one_success(c) must(one_success, c)
#else
#define must_one_success(c) skip
#endif
#ifdef CHECK_answers_agree
#define must_answers_agree(c) must(answers_agree, c)
#else
#define must_answers_agree(c) skip
#endif
#ifdef CHECK_stored_stays
#define must_stored_stays(c) must(stored_stays, c)
#else
#define must_stored_stays(c) skip
#endif
#ifdef CHECK_ran_is_kept
#define must_ran_is_kept(c) must(ran_is_kept, c)
#else
#define must_ran_is_kept(c) skip
#endif
#ifdef CHECK_told
#define must_told(c) must(told, c)
#else
#define must_told(c) skip
#endif
#ifdef CHECK_same_request
#define must_same_request(c) must(same_request, c)
#else
#define must_same_request(c) skip
#endif
#ifdef CHECK_own_claim
#define must_own_claim(c) must(own_claim, c)
#else
#define must_own_claim(c) skip
#endif
#ifdef CHECK_holder_completes
#define must_holder_completes(c) must(holder_completes, c)
#else
#define must_holder_completes(c) skip
#endif
#ifdef CHECK_only_holder
#define must_only_holder(c) must(only_holder, c)
#else
#define must_only_holder(c) skip
#endif
#ifdef CHECK_renew_is_true
#define must_renew_is_true(c) must(renew_is_true, c)
#else
#define must_renew_is_true(c) skip
#endif

/* What no store and no process knows, since only somebody who sees everything could: */
typedef history {
    byte effects;  /* in the life of the record; more than two are not told apart */
    byte seen      /* whose answer a client saw first: nobody's, a token's, or `stored` */
}
history past_of[KEYS];

/* The lease that the client's claim was promised has not ended by the clock of the store. */
#define is_live(c, k) (at[c] >= running && key_of[c] == (k) && live[c])
#define live_runs(k) count_clients(is_live, k)

/* The handler's effect, which nothing can take back. */
inline effect(k) {
    must_one_effect(past_of[k].effects == 0);
    if
    :: past_of[k].effects < 2 -> past_of[k].effects++
    :: else
    fi
}

/* A client receives the answer that the record has. */
inline sees_stored(k) {
    must_answers_agree(past_of[k].seen == nobody || past_of[k].seen == stored);
    past_of[k].seen = stored
}

/* A client receives the answer of the execution with token t, which the record does not have. */
inline sees_unstored(k, t) {
    must_answers_agree(past_of[k].seen == nobody || past_of[k].seen == (t));
    past_of[k].seen = t
}

/* The record stops having its answer: what a client saw is from now on named by its token. */
inline answer_is_gone(k) {
    rename(past_of[k].seen, stored, rec[k].token)
}
