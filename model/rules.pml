/* SPDX-License-Identifier: MIT */

/* The rules of the protocol. Beside each rule are the seeded bugs that break it, switched on with -DBUG_name.
   docs/model.md says which property catches each bug. */

/* The store compares the fingerprint before it looks at the state. */
#if defined(BUG_takeover_by_other_request)
#define is_other_request(k, r) (rec[k].request != (r) && !(rec[k].state == open && rec[k].lease_over))
#elif defined(BUG_replay_to_other_request)
#define is_other_request(k, r) (rec[k].request != (r) && rec[k].state == open)
#else
#define is_other_request(k, r) (rec[k].request != (r))
#endif

/* Only the store's clock ends a lease. */
#if defined(BUG_clock_of_the_client)
#define may_take_over(k) true
#else
#define may_take_over(k) (rec[k].lease_over)
#endif

/* A claim has a lease. */
#ifdef BUG_lease_never_ends
#define lease_ends(k) false
#else
#define lease_ends(k) may_lease_end(k)
#endif

/* A takeover counts one more attempt. */
#ifdef BUG_takeover_is_not_counted
#define attempt_of_takeover(k) 1
#else
#define attempt_of_takeover(k) 2
#endif

/* Complete stores for the holder, with a live lease or without, and where there is no record; for nobody else. */
#if defined(BUG_complete_without_fence)
#define may_complete(k, t) true
#elif defined(BUG_complete_over_open)
#define may_complete(k, t) (rec[k].state != done)
#elif defined(BUG_complete_needs_live_lease)
#define may_complete(k, t) (is_absent(k) || holds(k, t) && !rec[k].lease_over)
#elif defined(BUG_complete_needs_record)
#define may_complete(k, t) (holds(k, t))
#else
#define may_complete(k, t) (is_absent(k) || holds(k, t))
#endif

/* Renew works for the holder of an open record, and changes only the lease. */
#if defined(BUG_renew_without_fence)
#define may_renew(k, t) (rec[k].state == open)
#elif defined(BUG_renew_reopens)
#define may_renew(k, t) (holds(k, t) || rec[k].state == done && rec[k].token == (t))
#else
#define may_renew(k, t) (holds(k, t))
#endif
#if defined(BUG_renew_without_fence)
#define renew_writes(k, t) rec[k].token = t
#elif defined(BUG_renew_reopens)
#define renew_writes(k, t) rec[k].state = open
#else
#define renew_writes(k, t) skip
#endif
#ifdef BUG_renew_never_says_lost
#define answer_of_lost_renew held
#else
#define answer_of_lost_renew lost
#endif

/* Abandon works for the holder of an open record. */
#ifdef BUG_abandon_without_fence
#define may_abandon(k, t) (rec[k].state == open)
#else
#define may_abandon(k, t) (holds(k, t))
#endif

/* ... and keeps the number of a later attempt. */
#ifdef BUG_abandon_forgets_attempt
#define keeps_attempt(k) false
#else
#define keeps_attempt(k) (rec[k].attempt > 1)
#endif

/* ... and the steps, and what was parked. */
#ifdef BUG_abandon_forgets_steps
#define abandon_writes(k) set_steps(k, false)
#else
#define abandon_writes(k) skip
#endif
#ifdef BUG_abandon_frees_parked
#define parks_again false
#else
#define parks_again true
#endif

/* Whoever takes over finds the steps of earlier attempts. */
#ifdef BUG_takeover_forgets_steps
#define takeover_writes(k) set_steps(k, false)
#else
#define takeover_writes(k) skip
#endif

/* Only the holder of a record keeps a step. */
#ifdef BUG_step_without_fence
#define may_save_step(k, t) (is_held(k))
#else
#define may_save_step(k, t) (holds(k, t))
#endif

/* A parked record is granted only to a claim that asks, and to one at a time. */
#if defined(RECONCILE) || defined(BUG_parked_runs_again)
#define may_ask(k) true
#else
#define may_ask(k) false
#endif
#ifdef BUG_everybody_asks
#define may_ask_too(k) true
#else
#define may_ask_too(k) false
#endif

/* Park works for the holder, and where there is no record, and keeps the steps. */
#if defined(BUG_park_without_fence)
#define may_park(k, r, t) (is_absent(k) || is_held(k) && rec[k].request == (r))
#elif defined(BUG_park_over_answer)
#define may_park(k, r, t) (is_absent(k) || (holds(k, t) || rec[k].state == done) && rec[k].request == (r))
#else
#define may_park(k, r, t) (is_absent(k) || holds(k, t) && rec[k].request == (r))
#endif
#ifdef BUG_park_forgets_steps
#define park_writes(k) set_steps(k, false)
#else
#define park_writes(k) skip
#endif

/* A person settles what nobody holds, and nothing that has an answer. */
#if defined(BUG_settle_of_live)
#define may_settle(k) (rec[k].state >= open && rec[k].state != done)
#elif defined(BUG_settle_over_answer)
#define may_settle(k) (rec[k].state == open && rec[k].lease_over || rec[k].state >= done && rec[k].state != asked)
#else
#define may_settle(k) \
    (rec[k].state == open && rec[k].lease_over || rec[k].state == parked || rec[k].state == free)
#endif
#ifdef BUG_settle_forgets_steps
#define settle_writes(k) set_steps(k, false)
#else
#define settle_writes(k) skip
#endif

/* What reconcile has found out may be out of date: the claim is repeated before the handler runs. */
#ifdef BUG_reconcile_is_not_confirmed
#define confirms_reconcile false
#else
#define confirms_reconcile true
#endif

/* A record in flight outlives its lease by the retention, so that a takeover sees the earlier attempt. */
#ifdef BUG_record_ends_with_lease
#define lease_ends_record true
#else
#define lease_ends_record false
#endif

/* The sweeper checks again when it deletes. */
#ifdef BUG_sweeper_looks_once
#define may_sweep(k) true
#else
#define may_sweep(k) (rec[k].state == gone)
#endif

/* A full store refuses; it never evicts an unexpired record. */
#ifdef BUG_full_store_evicts
#define may_evict(k) (rec[k].state == open)
#else
#define may_evict(k) false
#endif
