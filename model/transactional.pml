/* SPDX-License-Identifier: MIT */

/* The transactional mode: the claim, the handler's rows and the record are one transaction in one database.

   There is no lease. A claim is an advisory lock that ends with its transaction. The primary key decides between two
   records. If the outcome of a COMMIT is unknown, the middleware looks for the record on another connection.
   The faults:

     CRASHES              a process may die at any point
     CONNECTIONS_END      the server may end an open transaction: a timeout, a restart, a lost connection
     COMMITS_IN_DOUBT     the answer to COMMIT may be lost, or COMMIT may still run when the middleware stops waiting
     FAILURES             the handler may throw or release its status: rollback
     ROWS_UNDONE          the handler may answer an error that is stored, while its rows are undone
     LOCKS_FAIL           two transactions may have the lock at once
     FAILOVER             a replica that lags may become the primary
     RETENTION            a record expires at the end of its retention

   The model has one key. Two keys can only share a lock number, which costs a needless 409. */

#include "world.pml"
#include "names.pml"
#include "transactional_properties.pml"
#include "transactional_rules.pml"

#define idle 0
#define began 1     /* BEGIN, and the first look found no record */
#define locked 2
#define running 3   /* the second look found none either */
#define ran 4
#define inserted 5  /* the record; nobody else sees it yet */
#define in_doubt 6  /* COMMIT was sent, and no answer came */
#define dead 7      /* the process died; the server may not know yet */
#define dead_in_doubt 8

byte at[CLIENTS];
bit alive[CLIENTS];  /* the server still has this transaction */
bit rows[CLIENTS];   /* it contains the handler's rows */
byte lock;           /* the token of the transaction that holds it */

/* What is committed. */
bit has_record;
byte answer_of;  /* whose answer the record has */
byte effects;    /* how often the handler's rows were committed; 2 stands for more, too */
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
    printf("... a client sees the stored answer\n");
    must_no_replay(false);
    must_answers_agree(seen == nobody || seen == stored);
    seen = stored
}

inline sees_own(c) {
    printf("... client %d sees its own answer\n", c);
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
    printf("COMMIT of client %d\n", c);
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
    :: else /* only where two transactions can have the lock */
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
            printf("client %d: BEGIN, no record\n", me);
            at[me] = began;
            alive[me] = true
        fi
    }
    :: atomic {
        at[me] == began && alive[me] ->
        if
        :: lock_is_free ->
            printf("client %d: has the lock\n", me);
            try_to_lock(me);
            at[me] = locked
        :: else -> /* 409 */
            printf("client %d: the lock is taken\n", me);
            must_conflict_is_real(any_client(has_lock, 0));
            must_no_conflict(false);
            end_attempt(me)
        fi
    }
    /* The second look sees what was committed before we got the lock. */
    :: atomic {
        at[me] == locked && alive[me] ->
        if
        :: has_record && looks_again ->
            gets_stored();
            end_attempt(me)
        :: else ->
            printf("client %d: the handler begins\n", me);
            at[me] = running;
            must_no_needless_run(!has_record);
            must_one_run(count_clients(handler_runs, 0) <= 1)
        fi
    }
    :: atomic {
        at[me] == running && alive[me] ->
        printf("client %d: the handler writes\n", me);
        handler_writes(me);
        at[me] = ran
    }
#ifdef ROWS_UNDONE
    :: atomic { at[me] == running && alive[me] -> at[me] = ran }
#endif
#ifdef FAILURES
    :: atomic { (at[me] == running || at[me] == ran) && alive[me] -> end_attempt(me) }
#endif
    /* INSERT waits until a transaction that has inserted the same key ends. Then it sees whether that one committed. */
    :: atomic {
        at[me] == ran && alive[me] && may_insert ->
        if
        :: has_record && primary_key_decides ->
            end_transaction(me);
            gets_stored();
            end_attempt(me)
        :: else ->
            printf("client %d: INSERT\n", me);
            at[me] = inserted
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
    :: atomic { at[me] == inserted -> at[me] = in_doubt } /* COMMIT still runs, or never arrived */
    :: atomic {
        at[me] == inserted && alive[me] ->
        commit(me);
        at[me] = in_doubt
    }
    /* If we get the lock, the transaction has ended, and the record tells how. */
    :: atomic {
        at[me] == in_doubt && may_resolve(me) ->
        printf("client %d: looks for the record of its COMMIT\n", me);
        resolve(me);
        end_attempt(me)
    }
    /* We do not get the lock in time: 503. */
    :: atomic {
        at[me] == in_doubt ->
        at[me] = dead_in_doubt
    }
#endif
    /* The next statement fails, because the server has ended the transaction: 503. */
    :: atomic { at[me] >= began && at[me] <= inserted && !alive[me] -> end_attempt(me) }
#ifdef CRASHES
    :: atomic {
        at[me] != idle && at[me] < dead ->
        printf("client %d: its process dies\n", me);
        if
        :: at[me] == in_doubt -> at[me] = dead_in_doubt
        :: else -> at[me] = dead
        fi
    }
#endif
    /* Sooner or later the server notices the death. */
    :: atomic { at[me] >= dead -> end_attempt(me) }
    WRONG_STEPS
    od
}

/* The server ends open transactions, and finishes a COMMIT that it has received. */
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
    /* The retention is long: nobody still works with the record. */
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
/* Effect and record reach the replica together, because they are one transaction. A failover ends open transactions. */
active proctype failover() {
    do
    :: atomic {
        replica_has_record = has_record;
        replica_answer_of = answer_of;
        replica_effects = effects
    }
    :: atomic {
        printf("failover\n");
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
