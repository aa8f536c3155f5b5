/* SPDX-License-Identifier: MIT */

/* The properties of the transactional mode, written as in properties.pml.

     one_effect            the committed effect happens at most once in the life of a record
     one_run               at most one handler runs in a transaction that is under way
     no_needless_run       no handler begins when the record is there
     answers_agree         all clients that see an answer see the same answer
     stored_stays          nothing replaces a stored answer
     success_is_committed  a client gets an execution's own answer only if the record has that answer
     record_with_effect    no effect is committed without its record
     conflict_is_real      409 means that another transaction is under way

   The last two must be false: they show that the runs reach what the properties are about.

     no_replay             no client gets a stored answer
     no_conflict           no request is answered 409 */

hidden byte one_effect, one_run, no_needless_run, answers_agree, stored_stays;
hidden byte success_is_committed, record_with_effect, conflict_is_real;
hidden byte no_replay, no_conflict;

#define must(name, condition) name = (condition); assert(name)

#ifdef CHECK_one_effect
#define must_one_effect(c) must(one_effect, c)
#else
#define must_one_effect(c) skip
#endif
#ifdef CHECK_one_run
#define must_one_run(c) must(one_run, c)
#else
#define must_one_run(c) skip
#endif
#ifdef CHECK_no_needless_run
#define must_no_needless_run(c) must(no_needless_run, c)
#else
#define must_no_needless_run(c) skip
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
#ifdef CHECK_success_is_committed
#define must_success_is_committed(c) must(success_is_committed, c)
#else
#define must_success_is_committed(c) skip
#endif
#ifdef CHECK_record_with_effect
#define must_record_with_effect(c) must(record_with_effect, c)
#else
#define must_record_with_effect(c) skip
#endif
#ifdef CHECK_conflict_is_real
#define must_conflict_is_real(c) must(conflict_is_real, c)
#else
#define must_conflict_is_real(c) skip
#endif
#ifdef CHECK_no_replay
#define must_no_replay(c) must(no_replay, c)
#else
#define must_no_replay(c) skip
#endif
#ifdef CHECK_no_conflict
#define must_no_conflict(c) must(no_conflict, c)
#else
#define must_no_conflict(c) skip
#endif
