"""What is done with one block: it is read once, checked, and handed to every plan. Runs in threads and on clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.fusion import JointLabels
from emdvc.errors import Code, StepError
from emdvc.formats.contract import LazyArray, Region
from emdvc.kernels.validity import NOT_FINITE, VALID, first_invalid
from emdvc.steps.contract import Partial, Place, Plan
from emdvc.steps.label_plan import LabelPlan


@dataclass(frozen=True, slots=True)
class Work:
    """One plan and whether negative numbers are data to it."""

    plan: Plan
    allow_negative: bool = False


class BlockTask:
    """What all plans of a pass do with a block. It holds no file, so that it can go to another process.

    Parameters
    ----------
    works
        The plans.
    dims
        Names of the array's dimensions.
    core
        Names of the dimensions of one frame, in the order that the plans expect.
    dtype
        Number type of the array.
    """

    def __init__(self, works: Sequence[Work], dims: tuple[str, ...], core: tuple[str, ...], dtype: Any) -> None:
        self._plans = [work.plan for work in works]
        self._allow_negative = all(work.allow_negative for work in works)
        self._dims, self._core = dims, core
        self.scan_axes = tuple(index for index, dim in enumerate(dims) if dim not in core)
        self._order = (*self.scan_axes, *(dims.index(dim) for dim in core))
        exact = np.dtype(dtype).kind in "uib"
        labelled = [index for index, plan in enumerate(self._plans) if exact and isinstance(plan, LabelPlan)]
        self._joined = labelled if len(labelled) > 1 else []
        joint = [plan for index, plan in enumerate(self._plans) if index in self._joined]
        self._joint = JointLabels([plan for plan in joint if isinstance(plan, LabelPlan)]) if joint else None

    def __call__(self, array: LazyArray, region: Region) -> tuple[int, list[Partial]]:
        """Read a block of the array and return its number of frames and what it gives for each plan.

        Raises
        ------
        StepError
            A sample is no count.
        """
        frames = self._read(array, region)
        self._check(frames, region)
        place = Place(region)
        found: dict[int, Partial] = {}
        if self._joint is not None:
            found.update(zip(self._joined, self._joint.block(frames, place), strict=True))
        for index, plan in enumerate(self._plans):
            if index not in found:
                found[index] = plan.block(frames, place)
        return frames.shape[0], [found[index] for index in range(len(self._plans))]

    def region(self, array: LazyArray, scan: Region) -> Region:
        """Return the region of the array that a block is: a part of the scan, with whole frames."""
        full = [slice(0, n) for n in array.shape]
        for axis, part in zip(self.scan_axes, scan, strict=True):
            full[axis] = part
        return tuple(full)

    def _read(self, array: LazyArray, region: Region) -> NDArray[Any]:
        # a block in the plans' order: frames first, then the dimensions of a frame
        block = array.read(self.region(array, region)).transpose(self._order)
        frames = np.ascontiguousarray(block.reshape(-1, *block.shape[len(self.scan_axes) :]))
        if frames.dtype.kind == "b":
            frames = frames.view(np.uint8)
        elif frames.dtype == np.float16:
            frames = frames.astype(np.float32)
        frames.flags.writeable = False
        return frames

    def _check(self, frames: NDArray[Any], region: Region) -> None:
        kind, flat = first_invalid(frames, self._allow_negative)
        if kind == VALID:
            return
        frame, *pixel = (int(i) for i in np.unravel_index(flat, frames.shape))
        probe = np.unravel_index(frame, tuple(part.stop - part.start for part in region)) if region else ()
        scanned = zip(self.scan_axes, region, probe, strict=True)
        where = [f"{self._dims[axis]}={part.start + int(index)}" for axis, part, index in scanned]
        where += [f"{dim}={index}" for dim, index in zip(self._core, pixel, strict=True)]
        value = frames.reshape(-1)[flat]
        if kind == NOT_FINITE:
            raise StepError(
                "the data hold what is no number",
                code=Code.STEP_COUNTS,
                evidence=f"first at {', '.join(where)}: {value}",
                hint="find out how it came into the file; a step does not guess what belongs there",
            )
        raise StepError(
            "the data hold negative counts",
            code=Code.STEP_COUNTS,
            evidence=f"first at {', '.join(where)}: {value}",
            hint="if they belong there (dark-subtracted frames), say so: --set negative=allow",
        )
