/* Who is meant by a fencing token.

   A token is random and is compared for equality, nothing else. So a model need not count tokens: it is enough to know
   whose they are. The token of the attempt that client c is making now is token_of(c). When the attempt ends, nobody
   can present its token any more, but for a call that is still on its way; so the token is renamed to `past`, or to
   `late` where such a call carries it. That keeps the number of states finite for any number of attempts, and is exact:
   two tokens called `past` are never compared with each other. */

#define nobody 0
#define token_of(c) ((c) + 1)
#define late (CLIENTS + 1)
#define past (CLIENTS + 2)
/* In place of a token: the answer that a client saw is the one that the record has. */
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
