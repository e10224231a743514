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
ratios = []
with Live(FROZEN, "fill", str(MIB)) as live, Store() as store:
    for _ in range(5):
        plain = int(subprocess.run(
            [FROZEN, "read", str(live.pid), live.line, str(MIB << 20)],
            stdout=subprocess.PIPE, check=True, text=True).stdout)
        said = store.run("capture", live.pid)
        pause = said["pause_ns"] / 1000
        ratios.append(pause / plain)
        print(f"process_vm_readv {plain / 1000:.1f} ms, "
              f"pause {pause / 1000:.1f} ms, ratio {pause / plain:.2f}")
best = min(ratios)
print(f"best ratio {best:.2f}")
sys.exit(best > LIMIT)
