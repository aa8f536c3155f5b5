# SPDX-License-Identifier: MIT
"""Processes that a test starts, and waiting for them."""

import subprocess
import time

# A busy machine: nothing here waits as long as this unless something is broken.
PATIENCE = 60


class Failure(Exception):
    """What must not happen."""


def demand(condition, sentence):
    if not condition:
        raise Failure(sentence)


def wait_for(what, ask):
    """Repeats the question until its answer is true, and returns that."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        demand(time.monotonic() < end, f"no {what} within {PATIENCE} s")
        time.sleep(0.02)
    return answer


def launch(words, log, user=(), dies_by="KILL"):
    """Starts a program that writes its errors to the log and the rest beside it, so that no line breaks another, and dies
    with this process."""
    with open(log, "w", encoding="utf-8") as errors, open(f"{log}.out", "w", encoding="utf-8") as output:
        return subprocess.Popen(["setpriv", *user, "--pdeathsig", dies_by, *words], stdout=output, stderr=errors)
