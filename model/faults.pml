/* SPDX-License-Identifier: MIT */

/* Leases, failover, expiry. */

/* The lease of the record ends or restarts. The holder does not know, but the properties do. */
inline lease_of_holder(c, k, is_live_now) {
    if
    :: runs_under(c, k) && at[c] >= running -> live[c] = is_live_now
    :: else
    fi
}

inline lease_of_holders(k, is_live_now) {
    lease_of_holder(0, k, is_live_now);
#if CLIENTS > 1
    lease_of_holder(1, k, is_live_now);
#endif
#if CLIENTS > 2
    lease_of_holder(2, k, is_live_now);
#endif
#if CLIENTS > 3
    lease_of_holder(3, k, is_live_now);
#endif
    skip
}

inline start_lease(k) {
    rec[k].lease_over = false;
    lease_of_holders(k, true)
}

inline end_lease(k) {
    lease_of_holders(k, false);
    if
    :: rec[k].state == open -> rec[k].lease_over = true
#ifdef PARKING
    :: rec[k].state == asked -> is_parked_now(k)
#endif
    fi;
    if
    :: lease_ends_record -> remove_record(k)
    :: else
    fi
}
#ifdef FAILOVER
#ifdef STEPS
#define COPY_STEPS(to, from) ; to.steps = from.steps
#else
#define COPY_STEPS(to, from)
#endif
#define copy_record(to, from)         \
    to.state = from.state;            \
    to.token = from.token;            \
    to.attempt = from.attempt;        \
    to.request = from.request;        \
    to.lease_over = from.lease_over;  \
    to.tombstone = from.tombstone;    \
    to.began = from.began             \
    COPY_STEPS(to, from)

/* What the replica had not received is lost. */
inline fail_over(k) {
    if
    :: rec[k].state == done && !(replica[k].state == done && replica[k].token == rec[k].token) -> answer_is_gone(k)
    :: else
    fi;
    copy_record(rec[k], replica[k])
}
#endif

#if defined(WAIT_REPLICAS) && !defined(BUG_acknowledged_before_replica)
#define wait_for_replica(k) copy_record(replica[k], rec[k])
#else
#define wait_for_replica(k) skip
#endif

#define has_expired(k) (rec[k].state >= done && rec[k].state != asked || rec[k].state == open && rec[k].lease_over)

#ifdef SWEEPER
bit due[KEYS];
#endif

#ifdef LATE_CALLS
#define is_called_later(k) (late_call != no_call && late_key == (k))
#else
#define is_called_later(k) false
#endif

inline end_if_busy(c) {
    if
    :: at[c] != idle -> end_attempt(c)
    :: else
    fi
}
