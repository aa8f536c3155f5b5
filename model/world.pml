/* SPDX-License-Identifier: MIT */

/* The size of the world, and the faults in it.

   Without a switch nothing goes wrong. A run names the faults that a cell of docs/guarantees.md is about:

     CRASHES              a process may die at any point of a request
     CRASHES_BEFORE       ... but only before its handler had its effect
     LEASES_END           a lease may end at any time: the handler is slow, or its process stopped or died
     DEAD_LEASES_END      a lease ends only when nobody runs under it: the heartbeat is always in time
     LOST_CALLS           a call to the store, or its answer, may be lost
     LATE_CALLS           ... or the store may carry it out after its caller has given up
     HEARTBEAT            a running execution may renew its lease at any time
     FAILURES             a handler may fail before its effect, and the middleware releases the claim
     RELEASES             ... or after its effect (on_throw::release, or a status that is not stored)
     OVERSIZE             a response may be too large: a tombstone is stored instead
     HOLD                 on_takeover::hold: nobody takes over an ended lease
     GUARD                guard mode: a duplicate gets 409, and no response is stored
     PERSIST_TIMEOUT      the middleware may give up Complete and answer its client all the same
     UNPROTECTED          run_unprotected: Claim gets no answer, and the handler runs without a claim
     MEMORY               the store is in the process and dies with it
     LOSS                 the store may come back empty
     FAILOVER             a replica that lags may become the primary
     WAIT_REPLICAS        ... but the store acknowledges Claim and Complete only when the replica has them
     RETENTION            a record expires at the end of its retention
     COUNT_FOR_EVER       ... and its history goes on, which otherwise ends with the record
     STEPS                a handler keeps a step after its effect, and the next attempt goes on behind it
     PARKING              a handler may not know its outcome: its record is parked
     RECONCILE            on_takeover::reconcile: reconcile is asked about takeovers and parked records
     SETTLE               a person settles what nobody holds
     SWEEPER              something else deletes expired records later

   There is no limit to the number of attempts. */

#ifndef CLIENTS
#define CLIENTS 3  /* attempts that run at the same time */
#endif
#ifndef KEYS
#define KEYS 1
#endif
#ifndef REQUESTS
#define REQUESTS 1  /* different requests (fingerprints) that use one key */
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

/* Promela has no quantifiers. */
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
