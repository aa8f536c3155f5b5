/* SPDX-License-Identifier: MIT */

/* The protocol of idempo: clients that retry, the middleware, a store of records with leases, and the faults.
   docs/model.md describes the files and the runs of `model/check`. */

#include "world.pml"
#include "names.pml"
#include "properties.pml"
#include "rules.pml"
#include "operations.pml"
#include "record.pml"
#include "transitions.pml"
#include "history.pml"
#include "recovery.pml"
#include "network.pml"
#include "middleware.pml"
#include "bugs.pml"
#include "faults.pml"
#include "processes.pml"

init {
    atomic {
        run client(0);
#if CLIENTS > 1
        run client(1);
#endif
#if CLIENTS > 2
        run client(2);
#endif
#if CLIENTS > 3
        run client(3);
#endif
        run keeper(0);
#if KEYS > 1
        run keeper(1)
#endif
    }
}

#ifdef CHECK_no_stuck_key
/* A dead holder does not hold a key for ever, as long as somebody asks for the key. */
#define held_by_the_dead (rec[0].state == open && rec[0].token == past)
ltl no_stuck_key { [] (held_by_the_dead -> <> !held_by_the_dead) }
#endif
