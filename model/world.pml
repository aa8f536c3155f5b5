/* The size of the world, and what may go wrong in it.

   Nothing goes wrong unless a switch says so: a run names the faults that a cell of docs/guarantees.md is about.

     CRASHES              a process may die at any point of a request
     CRASHES_BEFORE       ... but only before its handler has had its effect
     LEASES_END           a lease may end at any time: a slow handler, a stopped process, a dead one
     DEAD_LEASES_END      a lease ends only when nobody runs under it: the heartbeat is always in time
     LOST_CALLS           a call of the store may be lost, or its answer
     LATE_CALLS           ... or it may be carried out after its caller has given it up
     HEARTBEAT            a running execution may renew its lease at any time
     FAILURES             a handler may fail before its effect, and the claim is released
     RELEASES             ... or after its effect (on_throw::release, or a status that is not stored)
     OVERSIZE             a response may be too large to keep: a tombstone is stored
     HOLD                 on_takeover::hold: an ended lease is not taken over
     GUARD                guard mode: a duplicate is refused, whatever the first answer was
     PERSIST_TIMEOUT      Complete may be given up, and the client is answered all the same
     UNPROTECTED          run_unprotected: no answer to Claim, and the handler runs without a claim
     MEMORY               the store is in the process and dies with it
     LOSS                 the store may come back empty
     FAILOVER             a replica that lags may become the primary
     WAIT_REPLICAS        ... but Claim and Complete are acknowledged only when the replica has them
     RETENTION            a record expires when its retention is over
     COUNT_FOR_EVER       ... and what was done under it is not forgotten, as it is when its life is over
     SWEEPER              expired records are deleted by somebody else, later

   Every client makes any number of attempts. */

#ifndef CLIENTS
#define CLIENTS 3  /* attempts that are under way at the same time */
#endif
#ifndef KEYS
#define KEYS 1
#endif
#ifndef REQUESTS
#define REQUESTS 1  /* different requests (fingerprints) that use a key */
#endif

#ifdef CRASHES_BEFORE
#define CRASHES
#define may_crash(c) (!had_effect(c))
#define may_lose_memory(k) (past_of[k].effects == 0)
#else
#define may_crash(c) true
#define may_lose_memory(k) true
#endif

#ifdef LATE_CALLS
#define LOST_CALLS
#endif

#ifdef DEAD_LEASES_END
#define LEASES_END
#define may_lease_end(k) (!somebody_runs_under(k))
#else
#define may_lease_end(k) true
#endif

/* Of the clients one by one, since Promela has no quantifiers. */
#if CLIENTS == 1
#define any_client(is, k) (is(0, k))
#define count_clients(is, k) (is(0, k))
#elif CLIENTS == 2
#define any_client(is, k) (is(0, k) || is(1, k))
#define count_clients(is, k) (is(0, k) + is(1, k))
#elif CLIENTS == 3
#define any_client(is, k) (is(0, k) || is(1, k) || is(2, k))
#define count_clients(is, k) (is(0, k) + is(1, k) + is(2, k))
#else
#define any_client(is, k) (is(0, k) || is(1, k) || is(2, k) || is(3, k))
#define count_clients(is, k) (is(0, k) + is(1, k) + is(2, k) + is(3, k))
#endif
