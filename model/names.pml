/* SPDX-License-Identifier: MIT */

/* Fencing tokens.

   The protocol only compares tokens for equality. So the model does not count them; it names them after their owners.
   token_of(c) is the token of the current attempt of client c. When the attempt ends, only a call that is still on its
   way can present that token. The model then renames the token: to `late` if such a call carries it, otherwise to
   `past`. The number of states stays finite for any number of attempts. Nothing is lost, because the protocol never
   compares two tokens that are named `past`. */

#define nobody 0
#define token_of(c) ((c) + 1)
#define late (CLIENTS + 1)
#define past (CLIENTS + 2)
/* Instead of a token: the answer that a client saw is the one in the record. */
#define stored (CLIENTS + 3)

#define rename(place, from, to)           \
    if                                    \
    :: place == (from) -> place = (to)    \
    :: else                               \
    fi

#ifdef FAILOVER
#define rename_replica(k, from, to) rename(replica[k].token, from, to)
#else
#define rename_replica(k, from, to) skip
#endif

inline rename_everywhere(k, from, to) {
    rename(rec[k].token, from, to);
    rename_replica(k, from, to);
    rename(past_of[k].seen, from, to)
}
