"""emdvc's form of each operation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from emdvc.engine.how import How
from emdvc.engine.recipe import run_recipe
from emdvc.engine.run import Request, run_steps
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.chunk_files import in_memory
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.results import Result
from emdvc.steps.contract import Reference
from emdvc.steps.parameters import validate
from emdvc.steps.registry import find

CENTER = f"{data.middle()}, {data.middle()}"
RINGS: dict[str, Any] = {"bins": data.RINGS, "outer": f"{data.RINGS}px", "center": CENTER}
DETECTORS = {
    f"detector_{index}": {"inner": inner, "outer": outer}
    for index, (inner, outer) in enumerate(itertools.pairwise(data.BORDERS))
}

#: Steps and parameters of the operations that are one pass over the scan.
PASSES: dict[str, dict[str, dict[str, Any]]] = {
    "sum": {"sum_pattern": {}},
    "detectors": {"virtual_detector": {"detectors": DETECTORS, "center": CENTER}},
    "mass": {"center_of_mass": {}},
    "profile": {"radial_profile": RINGS},
    "variance": {"ring_variance": RINGS},
    "rebin": {"rebin": {"scan": 2, "detector": 2}},
    "background": {
        "power_law_background": {"method": "two_area", **{n: f"{data.EELS[n]}eV" for n in ("fit_start", "fit_stop")}}
    },
    "edge": {
        "elemental_map": {
            "method": "two_area",
            "edges": {"C": {name: f"{value}eV" for name, value in data.EELS.items()}},
        }
    },
    "lines": {
        "line_intensity": {
            "lines": ",".join(data.EDX),
            "resolution": f"{data.RESOLUTION}eV",
            "background": True,
            "background_windows": {
                line: dict(
                    zip(
                        ("left_start", "left_stop", "right_start", "right_stop"),
                        (f"{edge}eV" for edge in edges),
                        strict=True,
                    )
                )
                for line, edges in data.EDX.items()
            },
        }
    },
    "components": {"pca": {"components": data.COMPONENTS}},
}
PASSES["pass"] = {
    step: settings for name in ("sum", "detectors", "mass", "profile") for step, settings in PASSES[name].items()
}


def as_dataset(phantom: Any, counts: NDArray[Any]) -> Opened:
    """Return counts in memory as an open dataset; they may be fewer rows than the phantom has."""
    sizes = zip(phantom.axes().items(), counts.shape, strict=True)
    axes = {dim: replace(axis, size=size) for (dim, axis), size in sizes}
    return Opened((Variable(phantom.name, phantom.dims, MemoryArray(counts), "counts"),), axes)


def run(steps: Mapping[str, Mapping[str, Any]], opened: Opened, threads: int) -> dict[str, NDArray[Any]]:
    """Run steps in one pass and return their arrays by name."""
    requests = [Request(step, validate(step, settings)) for step, settings in ((find(n), s) for n, s in steps.items())]
    results = run_steps(requests, opened, name="scan", how=How(threads=threads))
    found = {name: values for result in results for name, values in arrays(result).items()}
    if "explained_variance" in found:  # packages tell it in various units
        found["ratios"] = found["explained_variance"] / found["explained_variance"][0]
    return found


def arrays(result: Result) -> dict[str, NDArray[Any]]:
    """Return the arrays of a result by name."""
    return {variable.name: np.asarray(in_memory(variable.values)) for variable in result.variables}


def operation(name: str, opened: Opened, threads: int) -> data.Operation:
    """Return an operation made ready for a dataset."""
    special: dict[str, Callable[[Opened, int], dict[str, NDArray[Any]]]] = {"correct": _correct, "disks": _disks}
    special["coarse"] = _disks
    if name in special:
        return lambda: special[name](opened, threads)
    return lambda: run(PASSES[name], opened, threads)


def _correct(opened: Opened, threads: int) -> dict[str, NDArray[Any]]:
    """Correct all frames and sum them: two steps, the corrected frames in memory between them."""
    images = data.correction()
    references = {
        role: Reference({role: image}, {role: ("ky", "kx")}, opened.axes, role) for role, image in images.items()
    }
    step, following = find("correct"), find("sum_pattern")
    parameters = validate(step, {role: f"{role}.zarr" for role in images})
    (corrected,) = run_steps([Request(step, parameters, references)], opened, name="scan", how=How(threads=threads))
    (frames,) = corrected.variables
    values: Any = frames.values
    middle = Opened(
        (Variable(frames.name, frames.dims, MemoryArray(np.asarray(in_memory(values))), "counts"),), opened.axes
    )
    request = Request(following, validate(following, {"negative": "allow"}))
    (found,) = run_steps([request], middle, name="corrected scan", how=How(threads=threads))
    return {"sum": arrays(found)["sum"]}


def _disks(opened: Opened, threads: int) -> dict[str, NDArray[Any]]:
    """Find the Bragg disks, and the strain from them."""
    recipe = {"disks": {"step": "bragg_disks", "radius": f"{data.DISK}px"}, "strain": {"source": "disks"}}
    parameters: Any = validate(find("recipe"), recipe)
    results = run_recipe(parameters.ingredients, opened, name="scan", how=How(threads=threads))
    return {name: values for result in results.values() for name, values in arrays(result).items()}
