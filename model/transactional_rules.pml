/* SPDX-License-Identifier: MIT */

/* The rules of the transactional mode. Beside each rule are the seeded bugs that break it. */

/* The lock belongs to the transaction and not to the session. We try it without waiting. */
#ifdef BUG_lock_of_the_session
#define lock_ends_with_transaction false
#else
#define lock_ends_with_transaction true
#endif
#if defined(LOCKS_FAIL) || defined(BUG_no_lock)
#define lock_is_free true
#else
#define lock_is_free (lock == nobody)
#endif

/* Once we have the lock, a statement of its own looks for the record again. */
#ifdef BUG_one_look
#define looks_again false
#else
#define looks_again true
#endif

/* The handler's rows are part of the transaction. */
#ifdef BUG_two_transactions
#define handler_writes(c)                   \
    must_one_effect(effects == 0);          \
    if                                      \
    :: effects < 2 -> effects++             \
    :: else                                 \
    fi
#else
#define handler_writes(c) rows[c] = true
#endif

/* The primary key admits one of two records. */
#ifdef BUG_no_primary_key
#define primary_key_decides false
#define may_insert true
#else
#define primary_key_decides true
#define may_insert (!any_client(is_inserting, 0))
#endif

/* A COMMIT in doubt is looked up after its transaction has ended. Only a record that is found is a success. */
#if defined(BUG_doubt_is_success)
#define may_resolve(c) true
#define resolve(c) sees_own(c)
#elif defined(BUG_doubt_is_own_success)
#define may_resolve(c) (lock == nobody)
#define resolve(c)                     \
    if                                 \
    :: has_record -> sees_own(c)       \
    :: else                            \
    fi
#else
#define may_resolve(c) (lock == nobody)
#define resolve(c)                     \
    if                                 \
    :: has_record -> gets_stored()     \
    :: else /* 503 */                  \
    fi
#endif

/* No answer goes out before COMMIT. A release rolls back. */
#if defined(BUG_answer_before_commit)
#define WRONG_STEPS :: atomic { at[me] == inserted -> sees_own(me) }
#elif defined(BUG_release_commits_rows)
#define WRONG_STEPS :: atomic { at[me] == ran && alive[me] && effects < 2 -> effects++; end_attempt(me) }
#else
#define WRONG_STEPS
#endif
