/* The rules of the transactional mode, each beside the bugs that are sown into it. */

/* The lock belongs to the transaction, not to the session, and is tried without waiting. */
#ifdef BUG_lock_of_the_session
#define lock_ends_with_transaction false
#else
#define lock_ends_with_transaction true
#endif
#ifdef LOCKS_FAIL
#define lock_is_free true
#else
#define lock_is_free (lock == nobody)
#endif

/* The record is looked at again, in a statement of its own, when the lock is ours. */
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

/* Of two records the primary key lets one in. */
#ifdef BUG_no_primary_key
#define primary_key_decides false
#define may_insert true
#else
#define primary_key_decides true
#define may_insert (!any_client(is_inserting, 0))
#endif

/* A COMMIT in doubt is looked up when its transaction has ended, and only what is found is a success. */
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

/* Nothing is answered before COMMIT. */
#ifdef BUG_answer_before_commit
#define WRONG_STEPS :: atomic { at[me] == inserted -> sees_own(me) }
#else
#define WRONG_STEPS
#endif
