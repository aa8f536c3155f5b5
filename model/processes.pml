/* SPDX-License-Identifier: MIT */

/* The processes: clients, the network, the store's clock, and whatever happens to records and stores. */

/* A client, and the server process that handles its attempts. */
proctype client(byte me) {
    bit was_mine;
    do
    /* Claim, or a retry with the same token. The answer arrives. */
    :: atomic {
        may_claim(me) ->
        if
        :: at[me] == idle -> begin_attempt(me)
        :: else
        fi;
        was_mine = holds(my_key, my_token);
        claim(my_key, my_request, my_token);
        must_own_claim(!was_mine || met != in_flight);
        was_mine = false;
        if
        :: met == granted ->
            printf("client %d: Claim of key %d: granted, attempt %d\n", me, my_key, rec[my_key].attempt);
            wait_for_replica(my_key);
            go_on(me)
        :: met == completed ->
            printf("client %d: Claim of key %d: completed\n", me, my_key);
            replay(me)
        :: else ->
            printf("client %d: Claim of key %d: refused\n", me, my_key);
            end_attempt(me) /* 409 or 422 */
        fi;
        met = 0
    }
    /* The handler has its effect. */
    :: atomic {
        at[me] == running ->
        printf("client %d: effect\n", me);
        effect(my_key);
        at[me] = ran
    }
    /* Complete, or a retry. The answer arrives. */
    :: atomic {
        has_answer(me) ->
        complete(my_key, my_request, my_token, false);
        if
        :: met == done ->
            printf("client %d: Complete: done\n", me);
            wait_for_replica(my_key);
            answer(me)
        :: else ->
            printf("client %d: Complete: another token holds the record\n", me);
            fenced_off(me)
        fi;
        met = 0
    }
#ifdef OVERSIZE
    /* Complete with a tombstone. The client still gets the whole answer. */
    :: atomic {
        has_answer(me) ->
        complete(my_key, my_request, my_token, true);
        if
        :: met == done ->
            printf("client %d: Complete: done\n", me);
            wait_for_replica(my_key);
            answer(me)
        :: else ->
            printf("client %d: Complete: another token holds the record\n", me);
            fenced_off(me)
        fi;
        met = 0
    }
#endif
#ifdef LOST_CALLS
    /* Claim and Complete whose answers do not arrive. A call that is lost changes nothing, so it needs no step. */
    :: atomic {
        may_claim(me) ->
        if
        :: at[me] == idle -> begin_attempt(me)
        :: else
        fi;
        if
        :: printf("client %d: Claim of key %d, no answer\n", me, my_key);
            claim(my_key, my_request, my_token);
            met = 0
#ifdef LATE_CALLS
        :: network_is_free ->
            printf("client %d: Claim of key %d, which will be late\n", me, my_key);
            send_late(late_claim, my_key, my_request, my_token, false)
#endif
        fi
    }
    :: atomic {
        has_answer(me) ->
        if
        :: printf("client %d: Complete, no answer\n", me);
            complete(my_key, my_request, my_token, false);
            met = 0
#ifdef LATE_CALLS
        :: network_is_free ->
            printf("client %d: Complete, which will be late\n", me);
            send_late(late_complete, my_key, my_request, my_token, false)
#endif
        fi
    }
    /* The middleware gives up Claim: 503. No handler ran under this token, and none will. */
    :: atomic {
        at[me] == claiming ->
        printf("client %d: gives up Claim\n", me);
        give_up(me, false);
        end_attempt(me)
    }
#endif
#ifdef STEPS
    /* The step is kept. One that is not kept ends the execution: another has the record. */
    :: atomic {
        at[me] == ran ->
        save_step(my_key, my_token);
        if
        :: met == kept ->
            printf("client %d: its step is kept\n", me);
            at[me] = stepped
        :: else ->
            printf("client %d: its step is refused\n", me);
            end_attempt(me)
        fi;
        met = 0
    }
#ifdef LOST_CALLS
    /* The step cannot be kept, and the execution ends. Its claim is left to the lease. */
    :: atomic {
        at[me] == ran ->
        printf("client %d: gives up its step\n", me);
        if
        :: save_step(my_key, my_token)
        :: skip
#ifdef LATE_CALLS
        :: network_is_free -> send_late(late_save_step, my_key, my_request, my_token, false)
#endif
        fi;
        met = 0;
        end_attempt(me)
    }
#endif
#endif
#ifdef PARKING
    /* The handler does not know its outcome: it had its effect, or never will. */
    :: atomic {
        at[me] == running || has_answer(me) ->
        printf("client %d: does not know its outcome\n", me);
        at[me] = parking
    }
    /* Park, or a retry. The answer arrives. */
    :: atomic {
        at[me] == parking ->
        printf("client %d: parks key %d\n", me, my_key);
        park(my_key, my_request, my_token);
        met = 0;
        end_attempt(me)
    }
#ifdef LOST_CALLS
    :: atomic {
        at[me] == parking ->
        if
        :: printf("client %d: parks key %d, no answer\n", me, my_key);
            park(my_key, my_request, my_token);
            met = 0
#ifdef LATE_CALLS
        :: network_is_free ->
            printf("client %d: parks key %d, which will be late\n", me, my_key);
            send_late(late_park, my_key, my_request, my_token, false)
#endif
        fi
    }
#endif
#endif
#ifdef RECONCILE
    /* Reconcile finds out what happened, or not. */
    :: atomic {
        at[me] == asking && may_run_again(my_key) ->
        printf("client %d: reconcile says: run again\n", me);
        at[me] = cleared
    }
    :: atomic {
        at[me] == asking && past_of[my_key].effects > 0 ->
        printf("client %d: reconcile knows the answer\n", me);
        at[me] = answered
    }
    :: atomic {
        at[me] == asking ->
        printf("client %d: reconcile does not know\n", me);
        give_up(me, false);
        end_attempt(me)
    }
    /* The claim is repeated: where somebody else has had the record, nothing runs. */
    :: atomic {
        at[me] == cleared && confirms_reconcile ->
        was_mine = holds(my_key, my_token);
        claim(my_key, my_request, my_token);
        if
        :: met == granted && was_mine ->
            printf("client %d: runs again, attempt %d\n", me, rec[my_key].attempt);
            run_again(me)
        :: met == granted && !was_mine ->
            printf("client %d: somebody else has had key %d\n", me, my_key);
            give_up(me, false);
            end_attempt(me)
        :: met == completed -> replay(me)
        :: else -> end_attempt(me)
        fi;
        was_mine = false;
        met = 0
    }
    :: atomic {
        at[me] == cleared && !confirms_reconcile ->
        printf("client %d: runs again\n", me);
        run_again(me)
    }
#endif
#ifdef HEARTBEAT
    /* A Renew during a live lease would change nothing in the model. */
    :: atomic {
        at[me] >= running && !live[me] ->
        printf("client %d: Renew\n", me);
        renew(my_key, my_token);
        met = 0
    }
#ifdef LATE_CALLS
    :: atomic {
        at[me] >= running && network_is_free ->
        printf("client %d: Renew, which will be late\n", me);
        send_late(late_renew, my_key, my_request, my_token, false)
    }
#endif
#endif
#ifdef FAILURES
    /* The handler throws or answers 5xx before its effect, and the policy releases the claim. */
    :: atomic {
        at[me] == running ->
        printf("client %d: fails before its effect\n", me);
        give_up(me, true);
        end_attempt(me)
    }
#ifdef STEPS
    /* The same after its step. */
    :: atomic {
        at[me] == stepped ->
        printf("client %d: fails after its step\n", me);
        give_up(me, true);
        end_attempt(me)
    }
#endif
#endif
#ifdef RELEASES
    /* The same after its effect. */
    :: atomic {
        has_answer(me) ->
        printf("client %d: releases after its effect\n", me);
        give_up(me, true);
        end_attempt(me)
    }
#endif
#ifdef PERSIST_TIMEOUT
    /* The middleware gives up Complete. The client still gets the answer, and the lease decides about the claim. */
    :: atomic {
        has_answer(me) ->
        printf("client %d: gives up Complete, and sends its answer\n", me);
        sees_answer_of(my_key, my_token);
        end_attempt(me)
    }
#endif
#ifdef UNPROTECTED
    /* The middleware gives up Claim, and the handler runs without it. */
    :: atomic {
        at[me] == claiming ->
        printf("client %d: gives up Claim, and runs without it\n", me);
        give_up(me, false);
        effect(my_key);
        sees_answer_of(my_key, my_token);
        end_attempt(me)
    }
#endif
#ifdef CRASHES
    /* The process dies. */
    :: atomic {
        at[me] != idle && may_crash(me) ->
        printf("client %d: its process dies\n", me);
        end_attempt(me)
    }
#endif
    WRONG_STEPS
    od
}

/* The late call arrives. */
#ifdef LATE_CALLS
active proctype network() {
    do
    :: atomic {
        !network_is_free ->
        printf("the late call for key %d arrives\n", late_key);
        if
        :: late_call == late_claim -> claim(late_key, late_request, late_token)
        :: late_call == late_complete ->
            complete(late_key, late_request, late_token, late_flag)
        :: late_call == late_renew -> renew(late_key, late_token)
        :: late_call == late_abandon -> abandon(late_key, late_token, late_flag)
#ifdef STEPS
        :: late_call == late_save_step -> save_step(late_key, late_token)
#endif
#ifdef PARKING
        :: late_call == late_park -> park(late_key, late_request, late_token)
#endif
        fi;
        /* If its attempt has ended, nobody can present this token again. */
        rename_everywhere(late_key, late, past);
        send_late(no_call, 0, 0, nobody, false);
        met = 0
    }
    od
}
#endif

/* The store's clock. */
#ifdef LEASES_END
active proctype store_clock() {
    do
    :: atomic {
        is_held(0) && !rec[0].lease_over && lease_ends(0) ->
        printf("lease of key 0 ends\n");
        end_lease(0)
    }
#if KEYS > 1
    :: atomic {
        is_held(1) && !rec[1].lease_over && lease_ends(1) ->
        printf("lease of key 1 ends\n");
        end_lease(1)
    }
#endif
    od
}
#endif

/* What happens to the record of one key. */
proctype keeper(byte k) {
    do
    :: atomic { may_evict(k) -> printf("key %d is evicted\n", k); remove_record(k) }
#ifdef RETENTION
    /* The retention is long: nobody still works with the record. The next request is a new one. */
    :: atomic {
        has_expired(k) && !somebody_is_busy_with(k) && !is_called_later(k) ->
        printf("key %d expires\n", k);
        remove_record(k);
#ifndef COUNT_FOR_EVER
        past_of[k].effects = 0;
#endif
        forget_past(k)
    }
#endif
#ifdef SWEEPER
    :: atomic { rec[k].state == gone && !due[k] -> due[k] = true }
    :: atomic {
        due[k] ->
        printf("the sweeper comes to key %d\n", k);
        if
        :: may_sweep(k) -> remove_record(k); rec[k].state = absent
        :: else
        fi;
        due[k] = false
    }
#endif
#ifdef FAILOVER
    :: atomic {
        printf("the replica receives key %d\n", k);
        copy_record(replica[k], rec[k])
    }
#endif
#ifdef BUG_heartbeat_of_the_dead
    :: atomic { rec[k].state == open && rec[k].token == past && rec[k].lease_over -> rec[k].lease_over = false }
#endif
    od
}

/* What happens to the whole store. */
active proctype store() {
    do
    :: false
#ifdef MEMORY
    /* The process dies with its store. */
    :: atomic {
        may_lose_memory(0) ->
        printf("the process dies with its store\n");
        remove_record(0);
#if KEYS > 1
        remove_record(1);
#endif
        end_if_busy(0);
#if CLIENTS > 1
        end_if_busy(1);
#endif
#if CLIENTS > 2
        end_if_busy(2)
#endif
    }
#endif
#ifdef LOSS
    :: atomic {
        printf("the store comes back empty\n");
        remove_record(0);
#if KEYS > 1
        remove_record(1)
#endif
    }
#endif
#ifdef SETTLE
    /* A person has found out what happened to the request with key 0. */
    :: atomic {
        past_of[0].effects > 0 ->
        printf("a person answers for key 0\n");
        settle(0, true);
        met = 0
    }
    :: atomic {
        past_of[0].effects == 0 || step_was_kept(0) ->
        printf("a person frees key 0\n");
        settle(0, false);
        met = 0
    }
#endif
#ifdef FAILOVER
    :: atomic {
        printf("failover\n");
        fail_over(0);
#if KEYS > 1
        fail_over(1)
#endif
    }
#endif
    od
}
