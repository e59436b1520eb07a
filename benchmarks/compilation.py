"""What the first use costs: seconds of compilation with an empty cache, and with the cache that this left behind.

Two processes run the same steps on the same small scan of 16-bit counts, one after the other, with their own cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Steps that a person runs first on a scan: their compilation together is what the first use waits for.
FIRST = ("sum_pattern", "virtual_image", "virtual_detector", "center_of_mass", "radial_profile", "frame_statistics")
#: Seconds that it may take.
LIMIT = 10.0


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """Yield a table that is filled with the seconds that each compiled function took."""
    from numba.core import event

    seconds: dict[str, float] = {}
    recorder = event.RecordingListener()
    event.register("numba:compile", recorder)
    try:
        yield seconds
    finally:
        event.unregister("numba:compile", recorder)
        started: dict[int, float] = {}
        depth = 0
        for moment, entry in recorder.buffer:
            if entry.is_start:
                if depth == 0:
                    started[id(entry.data["dispatcher"])] = moment
                depth += 1
            else:
                depth -= 1
                if depth == 0:  # a function that is compiled for another is part of its time
                    dispatcher = entry.data["dispatcher"]
                    name = f"{dispatcher.py_func.__module__.rpartition('.')[2]}.{dispatcher.py_func.__name__}"
                    seconds[name] = seconds.get(name, 0.0) + moment - started.pop(id(dispatcher))


def measure(names: tuple[str, ...]) -> dict[str, float]:
    """Run steps on a small scan and return the seconds of compilation by function."""
    import numpy as np

    from emdvc.engine.run import Request, run_steps
    from emdvc.formats.arrays import MemoryArray
    from emdvc.formats.contract import Opened, Variable
    from emdvc.model.axis import CALIBRATED_BY, Axis, Role
    from emdvc.steps.registry import find

    dims = ("y", "x", "ky", "kx")
    frames = np.random.default_rng(0).poisson(3.0, (8, 8, 40, 40)).astype(np.uint16)
    roles = (Role.SCAN, Role.SCAN, Role.DETECTOR, Role.DETECTOR)
    axes = {
        dim: Axis(dim, size, role, calibration=CALIBRATED_BY[role, dim])
        for dim, size, role in zip(dims, frames.shape, roles, strict=True)
    }
    opened = Opened((Variable("counts", dims, MemoryArray(frames), "counts"),), axes)
    parameters: dict[str, dict[str, Any]] = {"virtual_detector": {"outer": "9px"}}
    with counted() as seconds:
        for name in names:
            step = find(name)
            run_steps([Request(step, step.Parameters(**parameters.get(name, {})))], opened, name="scan")
    return seconds


def in_new_processes() -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of compilation by function, of a first and of a second process that share a new cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        line = [sys.executable, __file__, "--measure"]
        cold, warm = (
            json.loads(subprocess.run(line, check=True, env=environment, stdout=subprocess.PIPE).stdout)
            for _ in range(2)
        )
    return cold, warm


def main() -> int:
    """Measure in two processes, print a table, and return 1 when asked to require the limit and it is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--require", action="store_true", help=f"fail above {LIMIT:.0f} s cold, or above none warm")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(FIRST)))
        return 0
    cold, warm = in_new_processes()
    for name, seconds in sorted(cold.items(), key=lambda pair: -pair[1]):
        print(f"{name:36} {seconds:6.2f} s")
    print(f"{'first use, in all':36} {sum(cold.values()):6.2f} s of compilation (at most {LIMIT:.0f} s)")
    print(f"{'second use':36} {sum(warm.values()):6.2f} s in {len(warm)} functions (none)")
    return int(arguments.require and (sum(cold.values()) > LIMIT or bool(warm)))


if __name__ == "__main__":
    sys.exit(main())
