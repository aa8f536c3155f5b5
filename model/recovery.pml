/* SPDX-License-Identifier: MIT */

/* Steps, parked records, and whoever settles them by hand. docs/recovery.md says what they are for. The conditions are
   in rules.pml. */

#ifdef STEPS
inline save_step(k, t) {
    look_before(k, t);
    if
    :: may_save_step(k, t) ->
        must_stored_stays(rec[k].state != done);
        must_only_holder(holds(k, t));
        rec[k].steps = true;
        step_is_kept(k);
        met = kept
    :: else -> met = refused
    fi;
    must_be_in_table(op_save_step, k, t, met)
}
#endif

#ifdef PARKING
inline is_parked_now(k) {
    rec[k].state = parked;
    rec[k].lease_over = false;
    rec[k].began = false;
    past_of[k].unknown = true
}

inline write_parked(k, r, t) {
    must_stored_stays(rec[k].state != done);
    must_only_holder(is_absent(k) || holds(k, t));
    lease_of_holders(k, false);
    if
    :: is_absent(k) -> rec[k].attempt = 1
    :: else
    fi;
    rec[k].token = t;
    rec[k].request = r;
    rec[k].tombstone = false;
    park_writes(k);
    is_parked_now(k)
}

inline park(k, r, t) {
    look_before(k, t);
    look_at_request(k, r);
    if
    :: may_park(k, r, t) ->
        write_parked(k, r, t);
        met = parked
    :: !may_park(k, r, t) && rec[k].state == parked && rec[k].token == (t) -> met = parked
    :: !may_park(k, r, t) && !(rec[k].state == parked && rec[k].token == (t)) -> met = refused
    fi;
    must_be_in_table(op_park, k, t, met)
}
#endif

#ifdef SETTLE
/* The record gets an answer, or is freed. Steps stay for the next attempt. */
inline settle(k, is_answered) {
    look_before(k, nobody);
    if
    :: may_settle(k) && (is_answered) ->
        must_stored_stays(rec[k].state != done);
        rec[k].state = done;
        rec[k].token = nobody;
        rec[k].tombstone = false;
        set_steps(k, false);
        rec[k].lease_over = false;
        rec[k].began = false;
        now_known(k);
        met = settled
    :: may_settle(k) && !(is_answered) ->
        must_stored_stays(rec[k].state != done);
        settle_writes(k);
        if
        :: has_steps(k) -> write_free(k)
        :: else -> remove_record(k)
        fi;
        now_known(k);
        met = settled
    :: !may_settle(k) -> met = refused
    fi;
    must_be_in_table((is_answered -> op_settle_answer : (found_steps -> op_settle_steps : op_settle_free)), k, nobody, met)
}
#endif
