# SPDX-License-Identifier: MIT
"""Holds the traces of simulated worlds against the model, and shows that seeded bugs of the store are found in them.

usage: traces.py SIMULATION CHECK_TRACE [--seeds N] [--from S] [--without-bugs]

The worlds' clocks are exact in their traces, and their stores' clocks do not jump, so there is no slack.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FLAGS = ("--json", "--from-empty", "--skew", "0", "--slack", "0.001", "--repeat", "3")
# At least so many in a thousand worlds: otherwise the run shows nothing.
MINIMUM = {
    "abandon ok": 400, "claim completed": 3000, "claim expired": 50, "claim granted": 1500, "claim in_flight": 2000,
    "claim mismatch": 200, "claim parked": 500, "complete done": 1300, "complete completed": 1, "complete in_flight": 1,
    "handler begun": 1500, "park parked": 50, "renew held": 300, "save_step kept": 700, "settle settled": 5, "told executed": 1000,
    "told fenced": 5, "told replayed": 2500, "told takeover": 80,
}
# Bugs of the store that change what it answers. The others of docs/simulation.md are in its clients, or need more luck.
BUGS = {
    "complete_without_fence": 400, "complete_needs_live_lease": 400, "abandon_without_fence": 400, "abandon_forgets_attempt": 400,
    "renew_without_fence": 400, "renew_does_nothing": 400, "takeover_without_lease_check": 400, "takeover_by_other_request": 400,
    "takeover_is_not_counted": 400, "replay_to_other_request": 400, "clock_of_the_client": 400, "record_ends_with_lease": 400,
    "steps_are_forgotten": 400, "parked_runs_again": 400, "tombstone_is_released": 400, "marks_are_ignored": 400,
    "acknowledged_before_disk": 400,
}


def check(simulation, check_trace, *words):
    """Runs worlds, and gives their traces to the checker while they run: its exit code, and what it says."""
    with tempfile.TemporaryDirectory(prefix="idempo-worlds-") as work:
        pipe = pathlib.Path(work) / "trace"
        os.mkfifo(pipe)
        with subprocess.Popen([check_trace, *FLAGS, pipe], stdout=subprocess.PIPE, text=True) as checker:
            worlds = subprocess.run([simulation, *words, "--trace", pipe], stdout=subprocess.PIPE, text=True, check=False)
            said = checker.communicate()[0]
        return worlds, checker.returncode, json.loads(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulation")
    parser.add_argument("check_trace")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--from", dest="first", type=int, default=1)
    parser.add_argument("--without-bugs", action="store_true")
    given = parser.parse_args()
    programs = (given.simulation, given.check_trace)

    worlds, code, found = check(*programs, "--seeds", str(given.seeds), "--from", str(given.first))
    print(f"{given.seeds} worlds: {found['events']} events, {found['calls']} calls, {found['unanswered']} without an answer, "
          f"{found['records']} records, {found['undecided']} calls not judged, {found['outside']} outside the model")
    for event, count in found["counts"].items():
        print(f"  {count} {event}")
    failures = [f"{event}: {found['counts'].get(event, 0)}" for event, least in MINIMUM.items()
                if found["counts"].get(event, 0) * 1000 < least * given.seeds]
    if worlds.returncode != 0 or code != 0:
        failures.append(json.dumps(found["first"], indent=2) + worlds.stdout[-500:])
    for bug, seeds in {} if given.without_bugs else BUGS.items():
        for first in range(1, 5 * seeds, seeds):  # another standard library's worlds are others, and so is where it shows
            _, code, found = check(*programs, "--seeds", str(seeds), "--from", str(first), "--mutant", bug)
            if code == 1:
                break
        rule = found["first"][0]["rule"] if found["first"] else "not found"
        print(f"{bug}: {found['outside']} outside the model; {rule}")
        if code != 1:
            failures.append(f"{bug}: not found")
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
