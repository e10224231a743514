# A process goes on unharmed whatever becomes of the program that captures it,
# and a store never shows a snapshot that was not finished.
#
# SPDX-License-Identifier: Apache-2.0
import os
import random
import signal
import subprocess
import time

from live import FROZEN, Live, Store, state, threads, wait_for

TURNS = 50


def counters(pid, addr):
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.seek(addr)
        return [int.from_bytes(f.read(8), "little") for _ in range(3)]


def goes_on(live):
    """All three threads count, none is stopped, nobody traces it."""
    before = counters(live.pid, int(live.line, 16))
    wait_for("counting", lambda: all(
        a > b for a, b in zip(counters(live.pid, int(live.line, 16)), before)))
    for tid in threads(live.pid):
        wait_for("running", lambda: state(live.pid, tid) in "RS")
    with open(f"/proc/{live.pid}/status") as f:
        assert "TracerPid:\t0\n" in f.read()


seed = int(os.environ.get("MSN_TEST_SEED", random.randrange(1 << 32)))
print("MSN_TEST_SEED =", seed)
rng = random.Random(seed)
with Live(FROZEN, "count") as live, Store() as store:
    store.run("capture", live.pid, "--name", "first")
    began = time.monotonic()
    store.run("capture", live.pid, "--name", "whole")
    took = time.monotonic() - began
    finished = 0
    for turn in range(TURNS):
        child = subprocess.Popen(store.argv("capture", live.pid),
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * took)
        finished += child.poll() is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        goes_on(live)
    # What is listed is whole.
    listed = store.run("ls")["snapshots"]
    for snapshot in listed:
        store.run("verify", snapshot["uid"])
    print(f"{TURNS - finished} of {TURNS} captures killed, "
          f"{len(listed)} snapshots, all whole")
    assert finished < TURNS, "every capture was faster than its killer"
    store.run("capture", live.pid, "--name", "after")
