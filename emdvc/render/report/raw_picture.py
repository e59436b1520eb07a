"""A picture of raw data for a report, drawn from a few megabytes of it, where its bytes are on this machine."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from emdvc.errors import EmdvcError
from emdvc.model.axis import Role

if TYPE_CHECKING:
    from contextlib import ExitStack

    import numpy as np
    from numpy.typing import NDArray

    from emdvc.compare.report.state import DatasetState, Report
    from emdvc.formats.contract import LazyArray, Opened, Variable
    from emdvc.formats.results import ResultVariable

#: Bytes of an array that is read whole; of a larger one a few frames are.
_WHOLE = 32 << 20


def draw_raw(report: Report, dataset: DatasetState) -> bytes | None:
    """Return a picture of raw data as it was at the report's revision; None where its bytes are not here.

    Of a scan it is the sum of its diffraction patterns or spectra (of a large one: of a few), and where it is small the
    sum at each probe position; of images the middle one. Nothing is fetched.
    """
    from contextlib import ExitStack, suppress

    from emdvc.formats.results import Result
    from emdvc.render.picture import draw

    with suppress(EmdvcError, OSError, ValueError), ExitStack() as stack:
        opened = _opened(report, dataset, stack)
        if opened is None:
            return None
        names = [variable.name for variable in opened.variables]
        variable = opened.variable(dataset.sidecar.main if dataset.sidecar.main in names else None)
        axes = {dim: dataset.sidecar.axes.get(dim) or opened.axes[dim] for dim in variable.dims}
        drawn = _arrays(variable, [axes[dim].role for dim in variable.dims])
        return draw(Result(drawn, axes)) if drawn else None
    return None


def _opened(report: Report, dataset: DatasetState, stack: ExitStack) -> Opened | None:
    from emdvc.formats.contract import ReadOptions
    from emdvc.formats.dataset import open_lazy
    from emdvc.history.lazy.opening import open_files
    from emdvc.history.lazy.recorded_dataset import recorded_dataset
    from emdvc.history.objects import Objects

    record, project = dataset.recorded, report.project
    if record is None or not record.md5:
        return None
    if dataset.path in report.here:
        found, _ = open_lazy(project.path(dataset.path))
        stack.callback(found.close)
        return found
    objects = Objects(project)
    if not objects.here([record.md5]):
        return None
    if record.is_directory and not objects.here(objects.manifest(record.md5, str(record.path)).values()):
        return None
    files = recorded_dataset(project, record.path, record, report.commit.short, sidecar=dataset.sidecar)
    found = open_files(files, ReadOptions.from_dict(dataset.sidecar.source.get("options") or {}))
    stack.callback(found.close)
    return found


def _arrays(variable: Variable, roles: list[Role]) -> tuple[ResultVariable, ...]:
    """Return what is drawn of an array: one or two small arrays, with their titles."""
    from emdvc.formats.results import ResultVariable
    from emdvc.render import preview

    array, dims, unit = variable.array, variable.dims, variable.unit
    core, frames = preview.frames_read(array, roles)
    if frames == 0:
        return ()
    scan, frame = dims[:-core], dims[-core:]
    count = prod(array.shape[:-core])
    kind = {Role.DETECTOR: "diffraction patterns", Role.SPECTRUM: "spectra"}.get(roles[-1], "frames")
    scanned = bool(scan) and all(role == Role.SCAN for role in roles[:-core])
    if scanned and prod(array.shape) * array.dtype.itemsize <= _WHOLE and array.dtype.kind != "c":
        total, places = _sums(array, core)
        return (
            ResultVariable("total", frame, total, unit, title=f"sum of {count} {kind}"),
            ResultVariable("places", scan, places, unit, title="sum at each probe position"),
        )
    values = preview.small(array, roles)
    assert values is not None
    which = "" if count == 1 else f"{frames} of {count} {kind}"
    title = f"sum of {which}" if which and frames > 1 else which or variable.name
    return (ResultVariable(variable.name, frame, values, unit, title=title),)


def _sums(array: LazyArray, core: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of all frames, and the sum of each frame."""
    values = array.read(tuple(slice(0, n) for n in array.shape)).astype("f8")
    leading = values.ndim - core
    return values.sum(axis=tuple(range(leading))), values.sum(axis=tuple(range(leading, values.ndim)))
