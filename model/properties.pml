/* SPDX-License-Identifier: MIT */

/* The properties. Each is an assertion at the step that could break it: a search looks for one bad state, and needs no
   automaton. A run chooses its properties with -DCHECK_name.

     one_run           at most one execution runs under an unexpired claim of a key
     one_effect        the effect happens at most once in the life of a record
     one_success       guard mode: at most one client hears that its request succeeded
     answers_agree     all clients that see an answer see the same answer
     stored_stays      nothing replaces a stored answer, and nothing reopens its record
     ran_is_kept       nothing abandons a claim under which a handler began, unless the policy says so
     told              an execution that begins after an effect has attempt 2 or more
     same_request      a handler runs, and an answer is replayed, only for the request that the record is about
     own_claim         a retried Claim does not meet itself as a rival
     holder_completes  the holder's Complete stores, whether its lease has ended or not
     only_holder       Complete, Renew and Abandon change a record only for the token that holds it
     renew_is_true     Renew says "held" only to the token that holds the record
     begins_held       a handler begins only under a claim that is its own at that moment
     steps_stay        a handler that begins after a step was kept finds it
     parked_stays      no handler begins after its outcome was unknown, until reconcile or a person says so

   no_stuck_key is about what happens in the end, so it is an LTL formula, in idempotency.pml.

   The last three must be false. They show that the runs reach what the properties are about.

     no_takeover       no claim takes over an ended lease
     no_replay         no client gets a stored answer
     no_fencing        no Complete finds that another token holds the record */

/* `hidden` keeps these out of the state: a search goes on only where they are true. */
hidden byte one_run, one_effect, one_success, answers_agree, stored_stays, ran_is_kept;
hidden byte told, same_request, own_claim, holder_completes, only_holder, renew_is_true;
hidden byte begins_held, steps_stay, parked_stays;
hidden byte no_takeover, no_replay, no_fencing;

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
#ifdef CHECK_begins_held
#define must_begins_held(c) must(begins_held, c)
#else
#define must_begins_held(c) skip
#endif
#ifdef CHECK_steps_stay
#define must_steps_stay(c) must(steps_stay, c)
#else
#define must_steps_stay(c) skip
#endif
#ifdef CHECK_parked_stays
#define must_parked_stays(c) must(parked_stays, c)
#else
#define must_parked_stays(c) skip
#endif
#ifdef CHECK_no_takeover
#define must_no_takeover(c) must(no_takeover, c)
#else
#define must_no_takeover(c) skip
#endif
#ifdef CHECK_no_replay
#define must_no_replay(c) must(no_replay, c)
#else
#define must_no_replay(c) skip
#endif
#ifdef CHECK_no_fencing
#define must_no_fencing(c) must(no_fencing, c)
#else
#define must_no_fencing(c) skip
#endif
