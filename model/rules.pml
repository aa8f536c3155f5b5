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
