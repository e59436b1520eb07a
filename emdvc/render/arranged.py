"""A result as people look at it: a list of peaks as a map of the detector, maps of components one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emdvc.model.axis import Role

if TYPE_CHECKING:
    from emdvc.formats.results import Result


#: Maps of one array that are shown at most.
_MAPS = 12


def arranged(result: Result) -> Result:
    """Return a result with its arrays arranged for a picture."""
    return with_component_maps(with_peak_maps(result))


def with_component_maps(result: Result) -> Result:
    """Return a result in which an array of few numbers per probe position is replaced by a map of each.

    Only where the numbers are different things (components), not samples of a curve.
    """
    variables = []
    for variable in result.variables:
        axes = [result.axes.get(dim) for dim in variable.dims]
        roles = [axis.role if axis is not None else Role.STACK for axis in axes]
        several = roles == [Role.SCAN, Role.SCAN, Role.STACK] and variable.values.shape[-1] <= _MAPS
        if not several or not isinstance(variable.values, np.ndarray):
            variables.append(variable)
            continue
        title = variable.title or variable.name
        variables += [
            replace(
                variable,
                name=f"{variable.name}_{number}",
                dims=variable.dims[:2],
                values=variable.values[..., number],
                title=f"{title}, {variable.dims[2]} {number + 1}",
            )
            for number in range(variable.values.shape[-1])
        ]
    return replace(result, variables=tuple(variables))


def with_peak_maps(result: Result) -> Result:
    """Return a result in which a list of places on the detector is replaced by the map of their numbers.

    Other columns of the list, such as intensities, are left out: as a curve over thousands of peaks they say nothing.
    """
    from emdvc.formats.results import ResultVariable

    found = {variable.name: variable for variable in result.variables}
    ky, kx = found.get("peak_ky"), found.get("peak_kx")
    axes = [result.axes.get(dim) for dim in ("ky", "kx")]
    if ky is None or kx is None or len(ky.dims) != 1 or ky.dims != kx.dims:
        return result
    if any(axis is None or axis.role != Role.DETECTOR for axis in axes):
        return result
    kept = [variable for variable in result.variables if variable.dims != ky.dims]
    if not any(variable.dims == ("ky", "kx") for variable in kept):
        shape = tuple(axis.size for axis in axes if axis is not None)
        places = [
            np.clip(np.floor(np.asarray(variable.values) + 0.5), 0, size - 1).astype(np.int64)
            for variable, size in zip((ky, kx), shape, strict=True)
        ]
        counts = np.bincount(places[0] * shape[1] + places[1], minlength=shape[0] * shape[1]).reshape(shape)
        title = f"{places[0].size} peaks on the detector"
        kept.append(ResultVariable("peaks", ("ky", "kx"), counts, "peaks", title=title))
    return replace(result, variables=tuple(kept))
