"""Recipes that hold every kind of output that a step can have, and the digest of what they give.

The kinds: sums over the scan, sums with squares, one number or a small array for each probe position, profiles,
tables of peaks, frames, a second pass over the data, and steps on another step's result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emdvc.engine.how import Earlier, How
from emdvc.engine.recipe import run_recipe
from emdvc.formats.chunk_files import in_memory
from emdvc.formats.contract import LazyArray, Opened
from emdvc.formats.dataset import Source, open_lazy
from emdvc.formats.results import Result
from emdvc.steps.parameters import validate
from emdvc.steps.registry import find, names

#: What works on diffraction patterns; the names of the steps are spelled out, so that one that is lost is missed.
PATTERNS: dict[str, dict[str, Any]] = {
    "sum_pattern": {},
    "frame_statistics": {},
    "bad_pixels": {},
    "virtual_image": {},
    "virtual_detector": {"outer": "9 px"},
    "dark_field": {"step": "virtual_detector", "inner": "9 px", "outer": "14 px"},
    "center_of_mass": {},
    "dpc": {"source": "center_of_mass", "rotation": "12 deg", "flip": False},
    "radial_profile": {"bins": 12},
    "azimuthal_profile": {"bins": 24, "outer": "12 px"},
    "polar_transform": {"bins": 10, "azimuths": 36},
    "ring_variance": {"bins": 10},
    "fem_variance": {"bins": 10},
    "angular_correlation": {"bins": 8},
    "find_peaks": {"min_distance": "4 px"},
    "bragg_disks": {"radius": "3 px"},
    "crop": {"y": [3, 13], "ky": [4, 28]},
    "rebin": {"scan": [2, 2], "detector": [2, 2]},
}
#: What works on spectra.
SPECTRA: dict[str, dict[str, Any]] = {
    "sum_spectrum": {},
    "spectrum_statistics": {},
    "energy_map": {"windows": {"before": {"start": "210 eV", "stop": "280 eV"}}},
    "thickness": {"threshold": "250 eV"},
    "power_law_background": {"fit_start": "210 eV", "fit_stop": "280 eV"},
    "elemental_map": {
        "edges": {"C": {"fit_start": "210 eV", "fit_stop": "280 eV", "start": "284 eV", "stop": "330 eV"}}
    },
    "pca": {"components": 3, "denoise": 2, "scaling": "none"},
    "weighted": {"step": "pca", "components": 3},
}


def known(recipe: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the part of a recipe whose steps this emdvc has."""
    return {name: given for name, given in recipe.items() if given.get("step", name) in names()}


def run(
    path: Path,
    recipe: Mapping[str, dict[str, Any]],
    how: How | None = None,
    *,
    earlier: Mapping[str, Earlier] | None = None,
    array: LazyArray | None = None,
) -> dict[str, Result]:
    """Run a recipe on a dataset; with `array`, that instead of what lies there."""
    parameters = validate(find("recipe"), dict(recipe))
    opened, _ = open_lazy(path)
    try:
        data = opened if array is None else with_array(opened, array)
        source = Source(str(path.absolute()), None, None)
        return run_recipe(parameters.ingredients, data, name="scan.zarr", how=how, source=source, earlier=earlier)
    finally:
        opened.close()


def with_array(opened: Opened, array: LazyArray) -> Opened:
    """Return a dataset with another main array."""
    from dataclasses import replace

    first, *others = opened.variables
    return replace(opened, variables=(replace(first, array=array), *others))


def digests(results: Mapping[str, Result]) -> dict[str, str]:
    """Return the md5 of every array: its bytes, type and shape."""
    found = {}
    for name, result in results.items():
        for variable in result.variables:
            values = np.ascontiguousarray(in_memory(variable.values))
            text = f"{values.dtype.str} {values.shape} {variable.dims}".encode()
            found[f"{name}.{variable.name}"] = hashlib.md5(text + values.tobytes()).hexdigest()
    return found


def tree(folder: Path) -> dict[str, str]:
    """Return the md5 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
