/* What must hold in the transactional mode, in the way of properties.pml.

     one_effect            at most one committed effect in the life of a record
     one_run               at most one handler runs in a transaction that is under way
     no_needless_run       no handler begins when the record is there
     answers_agree         every client that sees an answer sees the same one
     stored_stays          a stored answer is never replaced
     success_is_committed  an execution's own answer goes out only when it is what the record has
     record_with_effect    there is no committed effect without its record
     conflict_is_real      409 is said only while another transaction is under way */

hidden byte one_effect, one_run, no_needless_run, answers_agree, stored_stays;
hidden byte success_is_committed, record_with_effect, conflict_is_real;

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
