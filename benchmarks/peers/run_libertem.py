"""LiberTEM and its blobfinder: each operation with the fastest of its executors."""

from __future__ import annotations

import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import libertem_blobfinder.common.gridmatching as grid
import numpy as np
from conversation import Case, Run, converse
from libertem.api import Context
from libertem.io.corrections import CorrectionSet
from libertem.udf.com import CoMUDF
from libertem.udf.FEM import FEMUDF
from libertem.udf.masks import ApplyMasksUDF
from libertem.udf.sum import SumUDF
from libertem_blobfinder.common.patterns import BackgroundSubtraction
from libertem_blobfinder.udf.refinement import run_refine

EXECUTORS: dict[str, dict[str, Any]] = {"inline": {}, "threads": {"cpus": 2}, "dask": {"cpus": 2}}


@cache
def context(executor: str) -> Any:
    """Return a context, made once."""
    return Context.make_with(executor, **EXECUTORS[executor])


def fastest(case: Case, source: str, rows: int, run: Any) -> Run:
    """Return a run with the executor that is fastest for so many rows, of those that can do it."""
    counts = case.counts(source, rows)
    found: tuple[float, Any] = (float("inf"), None)
    for executor in EXECUTORS:
        one = context(executor)
        dataset = one.load("memory", data=counts, sig_dims=2)
        try:
            start = time.perf_counter()
            run(one, dataset)
        except Exception as error:  # not every executor can do everything
            print(f"{executor}: {error}")
            continue
        seconds = time.perf_counter() - start
        print(f"{executor}: {seconds:.3f} s")
        if seconds < found[0]:
            found = (seconds, lambda one=one, dataset=dataset: run(one, dataset))
    if found[1] is None:
        raise RuntimeError("no executor can do it")
    return found[1]


@cache
def stack(path: str) -> Any:
    """Return masks from a file: what goes to other processes is its path."""
    return np.load(path)


def stacked(case: Case, name: str, masks: Any) -> ApplyMasksUDF:
    """Return the sums over masks: one product of matrices for all."""
    path = Path(case.told["images"]).with_name(f"libertem-{name}.npy")
    np.save(path, np.ascontiguousarray(masks, dtype=np.float32))
    return ApplyMasksUDF(mask_factories=partial(stack, str(path)), mask_count=len(masks), mask_dtype=np.float32)


def images(case: Case, result: Any, name: str = "intensity") -> Any:
    """Return the sums over the masks of each frame, the masks first."""
    return np.moveaxis(np.asarray(result[name].data), -1, 0)


def total(case: Case, rows: int) -> Run:
    """Sum of all patterns."""
    return fastest(
        case, "scan", rows, lambda c, d: {"sum": c.run_udf(dataset=d, udf=SumUDF(dtype="uint64"))["intensity"].data}
    )


def detectors(case: Case, rows: int) -> Run:
    """Four virtual detectors."""
    udf = stacked(case, "detectors", case.images["masks"])
    return fastest(
        case,
        "scan",
        rows,
        lambda c, d: {f"detector_{i}": v for i, v in enumerate(images(case, c.run_udf(dataset=d, udf=udf)))},
    )


def mass_udf() -> CoMUDF:
    """Return the centre of mass over the whole pattern, from pixel 0."""
    return CoMUDF.with_params(cy=0, cx=0, r=float("inf"))


def mass(case: Case, rows: int) -> Run:
    """Centre of mass."""
    return fastest(case, "scan", rows, lambda c, d: mass_of(c.run_udf(dataset=d, udf=mass_udf())))


def mass_of(result: Any) -> dict[str, Any]:
    """Return the centre of mass from a result."""
    return {"com_y": result["raw_com"].data[..., 0], "com_x": result["raw_com"].data[..., 1]}


def rings(case: Case) -> Any:
    """Return masks whose sums are the means over rings."""
    found = case.rings()
    return found / found.sum(axis=(1, 2), keepdims=True)


def profile(case: Case, rows: int) -> Run:
    """Radial profile."""
    udf = stacked(case, "rings", rings(case))
    return fastest(case, "scan", rows, lambda c, d: {"profile": c.run_udf(dataset=d, udf=udf)["intensity"].data})


def variance(case: Case, rows: int) -> Run:
    """Variance within rings: the standard deviations of a fluctuation analysis on each ring, and the means."""
    middle, means = case.told["center"], stacked(case, "rings", rings(case))
    udfs = [FEMUDF((middle, middle), ring, ring + 1) for ring in range(case.told["rings"])]

    def run(c: Any, d: Any) -> dict[str, Any]:
        *deviations, mean = c.run_udf(dataset=d, udf=[*udfs, means])
        spread = np.stack([one["intensity"].data for one in deviations], axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"variance": (spread / mean["intensity"].data) ** 2}

    return fastest(case, "scan", rows, run)


def one_pass(case: Case, rows: int) -> Run:
    """Sum, detectors, centre of mass and profile in one pass."""
    udfs = [
        SumUDF(dtype="uint64"),
        stacked(case, "detectors", case.images["masks"]),
        mass_udf(),
        stacked(case, "rings", rings(case)),
    ]

    def run(c: Any, d: Any) -> dict[str, Any]:
        summed, masked, moments, ringed = c.run_udf(dataset=d, udf=udfs)
        return {
            "sum": summed["intensity"].data,
            **{f"detector_{i}": v for i, v in enumerate(images(case, masked))},
            **mass_of(moments),
            "profile": ringed["intensity"].data,
        }

    return fastest(case, "scan", rows, run)


def correct(case: Case, rows: int) -> Run:
    """Sum of corrected patterns."""
    import sparse

    bad = sparse.COO.from_numpy(case.images["bad"])
    corrections = CorrectionSet(dark=case.images["dark"], gain=case.images["gain"], excluded_pixels=bad)

    def run(c: Any, d: Any) -> dict[str, Any]:
        return {"sum": c.run_udf(dataset=d, udf=SumUDF(), corrections=corrections)["intensity"].data}

    return fastest(case, "scan", rows, run)


def disks(case: Case, rows: int, upsample: bool = True) -> Run:
    """Places of disks whose lattice is known, and the lattice of each pattern."""
    radius, step, middle = case.told["disk"], case.told["lattice"], case.told["center"]
    pattern = BackgroundSubtraction(radius=radius, search=9, radius_outer=radius * 1.5)
    reach = np.mgrid[-4:5, -4:5]

    def run(c: Any, d: Any) -> dict[str, Any]:
        result, _ = run_refine(
            ctx=c,
            dataset=d,
            zero=np.array([middle, middle]),
            a=np.array([0.0, step]),
            b=np.array([step, 0.0]),
            match_pattern=pattern,
            matcher=grid.Matcher(),
            correlation="fast",
            match="fast",
            indices=reach,
            upsample=upsample,
        )
        places = np.asarray(result["refineds"].data)
        count = np.full(places.shape[:-2], places.shape[-2])
        return {"count": count, "peak_ky": places[..., 0].ravel(), "peak_kx": places[..., 1].ravel()}

    return fastest(case, "lattice", rows, run)


if __name__ == "__main__":
    converse(
        ("libertem", "libertem-blobfinder"),
        {
            "sum": total,
            "detectors": detectors,
            "mass": mass,
            "profile": profile,
            "variance": variance,
            "pass": one_pass,
            "correct": correct,
            "disks": disks,
            "coarse": partial(disks, upsample=False),
        },
    )
