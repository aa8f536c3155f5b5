/* SPDX-License-Identifier: MIT */

/* The record under a store key, and the four operations of the contract in include/idempo/store.hpp.

   Each operation is one atomic step, as the contract demands. The contract suite tests that of each store. `met` is the
   answer. The conditions are in rules.pml. */

#define absent 0
#define gone 1 /* expired, not yet deleted; every operation treats it as absent */
#define open 2 /* in flight */
#define done 3
#define free 4   /* nothing but steps of earlier attempts */
#define parked 5 /* the outcome is unknown, and nothing runs */
#define asked 6  /* parked, and claimed to find out what became of it */

typedef record {
    byte state;
    byte token;
    byte attempt;    /* 1, or 2 for any later one */
    bit request;     /* the fingerprint */
    bit lease_over;  /* by the store's clock */
    bit tombstone;
#ifdef STEPS
    bit steps;       /* a handler has one step here, or it has none */
#endif
    bit began        /* a handler began under this claim; the store does not know */
}
record rec[KEYS];

#ifdef FAILOVER
record replica[KEYS];
#endif

#define granted 10
#define in_flight 11
#define mismatch 12
#define completed 13
#define expired 14
#define held 15
#define lost 16
#define kept 18
#define refused 19
#define settled 20
hidden byte met;

#ifdef STEPS
#define has_steps(k) rec[k].steps
#define set_steps(k, are_there) rec[k].steps = are_there
#else
#define has_steps(k) false
#define set_steps(k, are_there) skip
#endif

#define is_absent(k) (rec[k].state <= gone)
#define is_held(k) (rec[k].state == open || rec[k].state == asked)
#define holds(k, t) (is_held(k) && rec[k].token == (t))

inline clear_record(k) {
    rec[k].state = absent;
    rec[k].token = nobody;
    rec[k].attempt = 0;
    rec[k].request = 0;
    rec[k].lease_over = false;
    rec[k].tombstone = false;
    set_steps(k, false);
    rec[k].began = false
}

/* With a sweeper the row stays until the sweeper deletes it. */
inline remove_record(k) {
    if
    :: rec[k].state == done -> answer_is_gone(k)
    :: else
    fi;
    clear_record(k);
#ifdef SWEEPER
    rec[k].state = gone
#endif
}

inline write_claim(k, r, t, n) {
    must_stored_stays(rec[k].state != done);
    must_same_request(is_absent(k) || rec[k].request == (r));
    rec[k].state = open;
    rec[k].token = t;
    rec[k].attempt = n;
    rec[k].request = r;
    rec[k].lease_over = false;
    rec[k].began = false
}

/* Claims the parked record. */
inline write_asked(k, t) {
    rec[k].state = asked;
    rec[k].token = t;
    rec[k].attempt = 2;
    rec[k].began = false
}

/* A retried Claim restarts the lease in some stores, and not in others. */
inline claim_again(k) {
    if
    :: start_lease(k)
    :: skip
    fi
}

inline claim(k, r, t) {
    look_before(k, t);
    look_at_request(k, r);
    if
    :: is_absent(k) ->
        write_claim(k, r, t, 1);
        met = granted
    :: !is_absent(k) && is_other_request(k, r) -> met = mismatch
    :: !is_absent(k) && !is_other_request(k, r) && rec[k].state == done -> met = completed
    :: !is_other_request(k, r) && holds(k, t) ->
        claim_again(k);
        met = granted
    :: !is_other_request(k, r) && rec[k].state == open && rec[k].token != (t) ->
        if
        :: !rec[k].lease_over -> met = in_flight
#if defined(HOLD) && !defined(BUG_hold_takes_over)
        :: may_take_over(k) -> met = expired
#else
        :: may_take_over(k) ->
            must_no_takeover(false);
            write_claim(k, r, t, attempt_of_takeover(k));
            takeover_writes(k);
            met = granted
#endif
        fi
#ifdef STEPS
    :: !is_other_request(k, r) && rec[k].state == free ->
        write_claim(k, r, t, 1);
        met = granted
#endif
#ifdef PARKING
    :: !is_other_request(k, r) && rec[k].state == parked ->
        if
        :: may_ask(k) ->
            write_asked(k, t);
            met = granted
        :: else -> met = parked
        fi
    :: !is_other_request(k, r) && rec[k].state == asked && rec[k].token != (t) ->
        if
        :: may_ask_too(k) ->
            write_asked(k, t);
            met = granted
        :: else -> met = in_flight
        fi
#endif
    fi;
    must_be_in_table(claims, k, t, met)
}

inline write_free(k) {
    rec[k].state = free;
    rec[k].token = nobody;
    rec[k].attempt = 0;
    rec[k].lease_over = false;
    rec[k].began = false
}

inline write_answer(k, r, t, is_tombstone) {
    must_stored_stays(rec[k].state != done);
    must_only_holder(is_absent(k) || holds(k, t));
    if
    :: rec[k].state == done -> answer_is_gone(k)
    :: else
    fi;
    if
    :: is_absent(k) -> rec[k].attempt = 1
    :: else
    fi;
    rec[k].state = done;
    rec[k].token = t;
    rec[k].request = r;
    rec[k].tombstone = is_tombstone;
    set_steps(k, false);
    rec[k].lease_over = false;
    rec[k].began = false;
    /* A client that this execution answered earlier has seen the answer that is stored now. */
    rename(past_of[k].seen, t, stored)
}

#define is_about_another(k, r) (!is_absent(k) && rec[k].request != (r))

inline complete(k, r, t, is_tombstone) {
    look_before(k, t);
    look_at_request(k, r);
    if
    :: is_about_another(k, r) -> met = mismatch
    :: !is_about_another(k, r) && may_complete(k, t) ->
        write_answer(k, r, t, is_tombstone);
        met = done
    :: !is_about_another(k, r) && !may_complete(k, t) && rec[k].state == done && rec[k].token == (t) -> met = done
    :: !is_about_another(k, r) && !may_complete(k, t) && rec[k].state == done && rec[k].token != (t) -> met = completed
    :: !is_about_another(k, r) && !may_complete(k, t) && rec[k].state != done ->
        must_holder_completes(!is_absent(k) && !holds(k, t));
        met = in_flight
    fi;
    must_be_in_table(op_complete, k, t, met)
}

inline renew(k, t) {
    look_before(k, t);
    if
    :: may_renew(k, t) ->
        must_stored_stays(rec[k].state != done);
        must_only_holder(holds(k, t));
        renew_writes(k, t);
        start_lease(k);
        met = held
    :: !may_renew(k, t) -> met = answer_of_lost_renew
    fi;
    must_renew_is_true(met == lost || holds(k, t));
    must_be_in_table(op_renew, k, t, met)
}

/* Abandon leaves what was there before the claim: an earlier attempt may have had its effect. */
inline abandon(k, t, by_policy) {
    look_before(k, t);
    if
    :: may_abandon(k, t) ->
        must_stored_stays(rec[k].state != done);
        must_only_holder(holds(k, t));
        must_ran_is_kept(!rec[k].began || by_policy);
        abandon_writes(k);
        if
#ifdef PARKING
        :: rec[k].state == asked && parks_again ->
            rec[k].token = nobody;
            is_parked_now(k)
#endif
        :: rec[k].state == open && keeps_attempt(k) ->
            rec[k].token = nobody;
            rec[k].lease_over = true;
            rec[k].began = false
        :: rec[k].state == open && !keeps_attempt(k) && has_steps(k) -> write_free(k)
        :: else -> remove_record(k)
        fi
    :: else
    fi;
    must_be_in_table((found_steps -> op_abandon_steps : op_abandon), k, t, answer_ok)
}
