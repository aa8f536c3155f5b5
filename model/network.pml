/* SPDX-License-Identifier: MIT */

/* Late calls: the store carries them out after their caller has stopped waiting.

   A call has four possible fates: the store carries it out and the answer arrives; it carries it out and the answer is
   lost; the call is lost; the store carries it out later. One call at a time can be late. It may overtake any other
   call, which is more than the contract allows: the calls of one process for one key keep their order. The same four
   fates describe a store that is down, stopped, or restarted without loss. */

#define no_call 0
#define late_claim 1
#define late_complete 2
#define late_renew 3
#define late_abandon 4
#define late_save_step 5
#define late_park 6

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
