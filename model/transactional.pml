/* The transactional mode: claim, the handler's rows and the record are one transaction of one database.

   There is no lease. A claim is an advisory lock that ends with its transaction, the primary key decides between two
   records, and a COMMIT whose end is not known is looked up on another connection. What may go wrong:

     CRASHES              a process may die at any point
     CONNECTIONS_END      the server may end a transaction that is under way: a timeout, a restart, a lost connection
     COMMITS_IN_DOUBT     the answer to COMMIT may be lost, or COMMIT may still be under way when it is given up
     FAILURES             the handler may throw, or answer what is not kept: rollback
     ROWS_UNDONE          the handler may answer an error that is kept: its rows are undone, its answer is stored
     LOCKS_FAIL           the lock is granted though another transaction has it
     FAILOVER             a replica that lags may become the primary
     RETENTION            a record expires when its retention is over

   One key: keys share nothing but the lock's number, and a needless 409 is all that comes of that. */

#include "world.pml"
#include "names.pml"
#include "transactional_properties.pml"
#include "transactional_rules.pml"

#define idle 0
#define began 1     /* BEGIN, and the first look found no record */
#define locked 2
#define running 3   /* the second look found none either */
#define ran 4
#define inserted 5  /* the record, which nobody sees yet */
#define in_doubt 6  /* COMMIT was sent, and is not answered */
#define dead 7      /* the process is; the server may not know yet */
#define dead_in_doubt 8

byte at[CLIENTS];
bit alive[CLIENTS];  /* the transaction, in the server */
bit rows[CLIENTS];   /* the handler's, uncommitted */
byte lock;           /* the token of the transaction that has it */

/* The database: what is committed. */
bit has_record;
byte answer_of;  /* whose answer the record has */
byte effects;    /* of the handler's rows; more than two are not told apart */
#ifdef FAILOVER
bit replica_has_record;
byte replica_answer_of;
byte replica_effects;
#endif

byte seen;  /* whose answer a client saw first: nobody's, a token's, or `stored` */

#define my_token token_of(me)
#define is_inserting(c, k) (at[c] >= inserted && alive[c])
#define is_idle(c) (c < CLIENTS && at[(c) % CLIENTS] == idle)
#define first_idle (is_idle(0) -> 0 : (is_idle(1) -> 1 : (is_idle(2) -> 2 : (is_idle(3) -> 3 : CLIENTS))))
#define has_lock(c, k) (alive[c] && lock == token_of(c))
#define handler_runs(c, k) (at[c] >= running && at[c] <= ran && alive[c])
#define is_busy(c, k) (at[c] != idle)

inline end_transaction(c) {
    alive[c] = false;
    rows[c] = false;
    if
    :: lock == token_of(c) && lock_ends_with_transaction -> lock = nobody
    :: else
    fi
}

inline end_attempt(c) {
    end_transaction(c);
    must_record_with_effect(has_record || effects == 0);
    rename(answer_of, token_of(c), past);
    rename(seen, token_of(c), past);
#ifdef FAILOVER
    rename(replica_answer_of, token_of(c), past);
#endif
    rename(lock, token_of(c), past);
    at[c] = idle
}

inline sees_stored() {
    must_answers_agree(seen == nobody || seen == stored);
    seen = stored
}

inline sees_own(c) {
    must_success_is_committed(has_record && answer_of == token_of(c));
    must_answers_agree(seen == nobody || seen == token_of(c) || seen == stored && answer_of == token_of(c));
    if
    :: has_record && answer_of == token_of(c) -> seen = stored
    :: else -> seen = token_of(c)
    fi
}

/* The client gets the answer, or is gone. */
inline gets_stored() {
    if
    :: sees_stored()
    :: skip
    fi
}

inline commit(c) {
    must_one_effect(!(rows[c] && effects > 0));
    must_stored_stays(!has_record);
    if
    :: has_record -> rename(seen, stored, answer_of)
    :: else
    fi;
    has_record = true;
    answer_of = token_of(c);
    rename(seen, token_of(c), stored);
    if
    :: rows[c] && effects < 2 -> effects++
    :: else
    fi;
    end_transaction(c)
}

inline try_to_lock(c) {
    if
    :: lock == nobody -> lock = token_of(c)
#ifdef LOCKS_FAIL
    :: lock != nobody
#endif
    fi
}

proctype client(byte me) {
    do
    /* BEGIN and the first look. */
    :: atomic {
        first_idle == me ->
        if
        :: has_record -> gets_stored()
        :: else ->
            at[me] = began;
            alive[me] = true
        fi
    }
    :: atomic {
        at[me] == began && alive[me] ->
        if
        :: lock_is_free ->
            try_to_lock(me);
            at[me] = locked
        :: else -> /* 409 */
            must_conflict_is_real(any_client(has_lock, 0));
            end_attempt(me)
        fi
    }
    /* The second look, which sees what was committed before the lock was ours. */
    :: atomic {
        at[me] == locked && alive[me] ->
        if
        :: has_record && looks_again ->
            gets_stored();
            end_attempt(me)
        :: else ->
            at[me] = running;
            must_no_needless_run(!has_record);
            must_one_run(count_clients(handler_runs, 0) <= 1)
        fi
    }
    :: atomic {
        at[me] == running && alive[me] ->
        handler_writes(me);
        at[me] = ran
    }
#ifdef ROWS_UNDONE
    :: atomic { at[me] == running && alive[me] -> at[me] = ran }
#endif
#ifdef FAILURES
    :: atomic { (at[me] == running || at[me] == ran) && alive[me] -> end_attempt(me) }
#endif
    /* INSERT waits for another that has inserted, and then sees whether that one was committed. */
    :: atomic {
        at[me] == ran && alive[me] && may_insert ->
        if
        :: has_record && primary_key_decides ->
            end_transaction(me);
            gets_stored();
            end_attempt(me)
        :: else -> at[me] = inserted
        fi
    }
    :: atomic {
        at[me] == inserted && alive[me] ->
        commit(me);
        if
        :: sees_own(me)
        :: skip
        fi;
        end_attempt(me)
    }
#ifdef COMMITS_IN_DOUBT
    :: atomic { at[me] == inserted -> at[me] = in_doubt } /* still under way, or never arrived */
    :: atomic {
        at[me] == inserted && alive[me] ->
        commit(me);
        at[me] = in_doubt
    }
    /* Who has the lock knows that the transaction has ended, and looks. */
    :: atomic {
        at[me] == in_doubt && may_resolve(me) ->
        resolve(me);
        end_attempt(me)
    }
    /* Nothing can be learnt in time: 503. */
    :: atomic {
        at[me] == in_doubt ->
        at[me] = dead_in_doubt
    }
#endif
    /* The next statement finds that the transaction has ended: 503. */
    :: atomic { at[me] >= began && at[me] <= inserted && !alive[me] -> end_attempt(me) }
#ifdef CRASHES
    :: atomic {
        at[me] != idle && at[me] < dead ->
        if
        :: at[me] == in_doubt -> at[me] = dead_in_doubt
        :: else -> at[me] = dead
        fi
    }
#endif
    /* The server learns of the death sooner or later. */
    :: atomic { at[me] >= dead -> end_attempt(me) }
    WRONG_STEPS
    od
}

/* The server ends what is under way, and finishes a COMMIT that it has received. */
active proctype server() {
    do
    :: false
#ifdef CONNECTIONS_END
    :: atomic { at[0] != idle && alive[0] -> end_transaction(0) }
#if CLIENTS > 1
    :: atomic { at[1] != idle && alive[1] -> end_transaction(1) }
#endif
#if CLIENTS > 2
    :: atomic { at[2] != idle && alive[2] -> end_transaction(2) }
#endif
#endif
#ifdef COMMITS_IN_DOUBT
    :: atomic { (at[0] == in_doubt || at[0] == dead_in_doubt) && alive[0] -> commit(0) }
#if CLIENTS > 1
    :: atomic { (at[1] == in_doubt || at[1] == dead_in_doubt) && alive[1] -> commit(1) }
#endif
#if CLIENTS > 2
    :: atomic { (at[2] == in_doubt || at[2] == dead_in_doubt) && alive[2] -> commit(2) }
#endif
#endif
#ifdef RETENTION
    /* It is long: nobody who knew the record is still at work. */
    :: atomic {
        has_record && !any_client(is_busy, 0) ->
        has_record = false;
        answer_of = nobody;
        effects = 0;
        seen = nobody
    }
#endif
    od
}

#ifdef FAILOVER
/* Effect and record travel together, since they are one transaction. What was under way on the old primary ends. */
active proctype failover() {
    do
    :: atomic {
        replica_has_record = has_record;
        replica_answer_of = answer_of;
        replica_effects = effects
    }
    :: atomic {
        if
        :: has_record && !replica_has_record -> rename(seen, stored, answer_of)
        :: else
        fi;
        has_record = replica_has_record;
        answer_of = replica_answer_of;
        effects = replica_effects;
        end_transaction(0);
#if CLIENTS > 1
        end_transaction(1);
#endif
#if CLIENTS > 2
        end_transaction(2);
#endif
        lock = nobody;
        must_record_with_effect(has_record || effects == 0)
    }
    od
}
#endif

init {
    atomic {
        run client(0);
#if CLIENTS > 1
        run client(1);
#endif
#if CLIENTS > 2
        run client(2)
#endif
    }
}
