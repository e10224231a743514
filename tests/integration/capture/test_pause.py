# The process stands still for little longer than reading its pages takes.
#
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

from live import FROZEN, Live, Store, skip

MIB = 256
# The goal is 1.5; one disk and two processors shared with others make a single
# run worth little, so the test only says no when something is badly wrong.
LIMIT = 4.0

if os.environ.get("SANITIZE"):
    skip("figures of a sanitizer build mean nothing")


def ratios(live, store, *options):
    """Pause to plain reading, both measured in turn."""
    found = []
    for _ in range(5):
        plain = int(subprocess.run(
            [FROZEN, "read", str(live.pid), live.line, str(MIB << 20)],
            stdout=subprocess.PIPE, check=True, text=True).stdout)
        said = store.run("capture", live.pid, *options)
        pause = said["pause_ns"] / 1000
        found.append(pause / plain)
        print(f"{' '.join(options) or 'as it is'}: process_vm_readv "
              f"{plain / 1000:.1f} ms, pause {pause / 1000:.1f} ms, "
              f"ratio {pause / plain:.2f}")
    return min(found)


with Live(FROZEN, "fill", str(MIB)) as live, Store() as store:
    best = {o: ratios(live, store, *o) for o in [(), ("--stage", "all")]}
for options, ratio in best.items():
    print("best", *options, f"{ratio:.2f}")
sys.exit(max(best.values()) > LIMIT)
