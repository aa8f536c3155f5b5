/* Calls that are carried out after their caller has stopped waiting for them.

   A call can go four ways: it is carried out and answered; it is carried out and its answer is lost; it is lost; or it
   is carried out later, when its caller has long gone on. One call at a time can be late. It may overtake, and be
   overtaken by, anything else, which is more than the contract allows (one process' calls of a key keep their order,
   on one connection). A store that is down, stopped or restarted without loss is made of the same things. */

#define no_call 0
#define late_claim 1
#define late_complete 2
#define late_renew 3
#define late_abandon 4

#ifdef LATE_CALLS
byte late_call;
byte late_key;
byte late_token;
bit late_request;
bit late_flag;  /* of Complete: a tombstone; of Abandon: the policy says so */

#define network_is_free (late_call == no_call)

inline send_late(what, k, r, t, f) {
    late_call = what;
    late_key = k;
    late_request = r;
    late_token = t;
    late_flag = f
}
#endif
