"""How fast the steps run from memory, against the best NumPy form of the same, and LiberTEM where it is installed."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.run import run_step
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.steps.registry import find

DIMS = ("y", "x", "ky", "kx")
RADII = (0, 10, 20, 40, 60)


def dataset(scan: int, detector: int) -> Opened:
    """Return Poisson counts as an open dataset."""
    frames = np.random.default_rng(0).poisson(3.0, (scan, scan, detector, detector)).astype(np.uint16)
    axes = {
        dim: Axis(dim, size, role, calibration=CALIBRATED_BY[role, dim])
        for dim, size, role in zip(
            DIMS, frames.shape, (Role.SCAN, Role.SCAN, Role.DETECTOR, Role.DETECTOR), strict=True
        )
    }
    return Opened((Variable("counts", DIMS, MemoryArray(frames), "counts"),), axes)


def ours(opened: Opened, threads: int) -> dict[str, Callable[[], Any]]:
    """Return emdvc's form of each operation."""
    rings = {f"r{a}": {"inner": a, "outer": b} for a, b in itertools.pairwise(RADII)}
    parameters: dict[str, dict[str, Any]] = {"virtual_detector": {"detectors": rings}}

    def call(name: str) -> Callable[[], Any]:
        step = find(name)
        chosen = step.Parameters(**parameters.get(name, {}))
        return lambda: run_step(step, chosen, opened, name="scan", threads=threads)

    return {name: call(name) for name in ("sum_pattern", "virtual_detector", "center_of_mass", "radial_profile")}


def numpys(frames: NDArray[Any]) -> dict[str, Callable[[], Any]]:
    """Return the best NumPy form of each: products of blocks of frames with a matrix of masks, in float32."""
    height, width = frames.shape[2:]
    flat = frames.reshape(-1, height * width)
    y, x = np.mgrid[0:height, 0:width]
    radii = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2).reshape(-1)
    annuli = np.stack([(radii >= a) & (radii < b) for a, b in itertools.pairwise(RADII)], 1)
    moments = np.stack([np.ones_like(radii), y.reshape(-1), x.reshape(-1)], 1)
    rings = np.stack([(radii >= ring) & (radii < ring + 1) for ring in range(height // 2)], 1)

    def product(masks: NDArray[Any]) -> Callable[[], Any]:
        weights = masks.astype(np.float32)
        return lambda: [flat[start : start + 512].astype(np.float32) @ weights for start in range(0, len(flat), 512)]

    return {
        "sum_pattern": lambda: (flat.sum(axis=0, dtype=np.uint64), flat.max(axis=0)),
        "virtual_detector": product(annuli),
        "center_of_mass": product(moments),
        "radial_profile": product(rings),
    }


def libertems(frames: NDArray[Any]) -> dict[str, Callable[[], Any]]:
    """Return LiberTEM's form of each, or nothing where it is not installed."""
    try:
        from libertem.api import Context
    except ImportError:
        return {}
    context = Context.make_with("inline")
    data = context.load("memory", data=frames, sig_dims=2)
    height, width = frames.shape[2:]
    cy, cx = (height - 1) / 2, (width - 1) / 2
    rings = [context.create_ring_analysis(data, cx=cx, cy=cy, ri=a, ro=b) for a, b in itertools.pairwise(RADII)]
    return {
        "sum_pattern": lambda: context.run(context.create_sum_analysis(data)),
        "virtual_detector": lambda: [context.run(ring) for ring in rings],
        "center_of_mass": lambda: context.run(context.create_com_analysis(data, cx=cx, cy=cy, mask_radius=width)),
        "radial_profile": lambda: context.run(
            context.create_radial_fourier_analysis(
                data, cx=cx, cy=cy, ri=0, ro=height // 2, n_bins=height // 2, max_order=0
            )
        ),
    }


def main() -> None:
    """Measure all forms in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=int, default=128, help="probe positions along each side")
    parser.add_argument("--detector", type=int, default=128, help="pixels along each side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    opened = dataset(arguments.scan, arguments.detector)
    frames = opened.variables[0].array.read(tuple(slice(0, n) for n in opened.variables[0].array.shape))
    forms = {"emdvc": ours(opened, arguments.threads), "NumPy": numpys(frames), "LiberTEM": libertems(frames)}
    print(
        f"{frames.nbytes / 1e9:.2f} GB of uint16, {arguments.threads} threads, median of {arguments.runs} runs in turn"
    )
    for name in forms["emdvc"]:
        times: dict[str, list[float]] = {peer: [] for peer, form in forms.items() if name in form}
        for turn in range(arguments.runs + 1):
            for peer, measured in times.items():
                start = time.perf_counter()
                forms[peer][name]()
                if turn:
                    measured.append(time.perf_counter() - start)
        medians = {peer: statistics.median(values) for peer, values in times.items()}
        speeds = "   ".join(f"{peer} {frames.nbytes / seconds / 1e9:5.2f} GB/s" for peer, seconds in medians.items())
        ratios = "   ".join(
            f"{seconds / medians['emdvc']:4.1f} x {peer}" for peer, seconds in medians.items() if peer != "emdvc"
        )
        print(f"{name:18} {speeds}   emdvc is {ratios}")


if __name__ == "__main__":
    main()
