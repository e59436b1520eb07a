"""Running plans over an array: blocks are read and reduced in threads, and merged in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.blocks import Blocks, cut
from emdvc.errors import Code, StepError, UsageError
from emdvc.formats.contract import LazyArray, Region
from emdvc.kernels.validity import NOT_FINITE, VALID, first_invalid
from emdvc.steps.contract import Partial, Place, Plan

#: Says how many probe positions were finished since the last call.
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """One plan and whether negative numbers are data to it."""

    plan: Plan
    allow_negative: bool = False


@dataclass(frozen=True, slots=True)
class Computed:
    """What a plan gave: the plan (that of the last pass, where there were several) and its output arrays by name."""

    plan: Plan
    arrays: dict[str, NDArray[Any]]


def default_threads() -> int:
    """Return the number of threads: ``EMDVC_THREADS`` if set, else the processors this process may use.

    Raises
    ------
    UsageError
        ``EMDVC_THREADS`` is no positive whole number.
    """
    text = os.environ.get("EMDVC_THREADS")
    if text:
        if not text.isdigit() or int(text) < 1:
            raise UsageError("EMDVC_THREADS must be a whole number from 1 on", evidence=f"it is '{text}'")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compute(
    array: LazyArray,
    dims: tuple[str, ...],
    core: tuple[str, ...],
    works: Sequence[Work],
    *,
    threads: int | None = None,
    advance: Advance | None = None,
) -> list[Computed]:
    """Run plans over an array, reading it once, and return the output arrays of each.

    Parameters
    ----------
    array, dims
        The array and the names of its dimensions.
    core
        Names of the dimensions of one frame, in the order that the plans expect.
    works
        The plans.
    threads
        Number of threads; the result does not depend on it.
    advance
        Called as probe positions are finished.

    Raises
    ------
    StepError
        A sample is no count.
    """
    threads = threads or default_threads()
    found: list[Computed | None] = [None] * len(works)
    waiting = list(enumerate(works))
    while waiting:
        following = []
        for group in _by_spans(waiting):
            passed = _one_pass(array, dims, core, [work for _, work in group], threads, advance)
            for (index, work), (maps, reduction, frames) in zip(group, passed, strict=True):
                plan = work.plan.following(reduction, frames)
                if plan is not None:
                    following.append((index, Work(plan, work.allow_negative)))
                else:
                    found[index] = Computed(work.plan, _outputs(work.plan, maps, reduction, frames))
        waiting = following
    return [one for one in found if one is not None]


def _by_spans(works: list[tuple[int, Work]]) -> list[list[tuple[int, Work]]]:
    groups: list[list[tuple[int, Work]]] = []
    for one in works:
        for group in groups:
            if dict(group[0][1].plan.spans) == dict(one[1].plan.spans):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _one_pass(
    array: LazyArray,
    dims: tuple[str, ...],
    core: tuple[str, ...],
    works: Sequence[Work],
    threads: int,
    advance: Advance | None,
) -> list[tuple[dict[str, NDArray[Any]], Any, int]]:
    scan_axes = tuple(index for index, dim in enumerate(dims) if dim not in core)
    order = (*scan_axes, *(dims.index(dim) for dim in core))
    spans = works[0].plan.spans
    blocks = cut(array, scan_axes, tuple(spans.get(dims[axis]) for axis in scan_axes))
    maps: list[dict[str, NDArray[Any]]] = [{} for _ in works]
    ragged: list[dict[str, list[tuple[Region, NDArray[Any]]]]] = [{} for _ in works]
    reductions: list[Any] = [None] * len(works)
    frames = 0

    def one(region: Region) -> tuple[Region, int, list[Partial]]:
        count, block = _read(array, region, scan_axes, order)
        _check(block, works, region, dims, scan_axes, core)
        return region, count, [work.plan.block(block, Place(region)) for work in works]

    for region, count, partials in _in_order(one, blocks, threads):
        for index, (work, partial) in enumerate(zip(works, partials, strict=True)):
            _store(maps[index], partial, blocks.result(region), blocks.results)
            for name, rows in partial.ragged.items():
                ragged[index].setdefault(name, []).append((blocks.result(region), rows))
            if partial.reduction is not None:
                merged = reductions[index]
                reductions[index] = partial.reduction if merged is None else work.plan.merge(merged, partial.reduction)
        frames += count
        if advance is not None:
            advance(count)
    for index, lists in enumerate(ragged):
        for name, parts in lists.items():
            maps[index][name] = _in_scan_order(maps[index]["count"], parts)
    return [(found, reduction, frames) for found, reduction in zip(maps, reductions, strict=True)]


def _outputs(plan: Plan, maps: dict[str, NDArray[Any]], reduction: Any, frames: int) -> dict[str, NDArray[Any]]:
    names = {output.name for output in plan.outputs}
    final = {name: values for name, values in maps.items() if name in names}
    rest = {name: values for name, values in maps.items() if name not in names}
    return {**final, **plan.finish(rest, reduction, frames)}


def _in_scan_order(counts: NDArray[Any], parts: list[tuple[Region, NDArray[Any]]]) -> NDArray[Any]:
    """Return the rows of all blocks in C order of the probe positions."""
    starts = (np.cumsum(counts.reshape(-1)) - counts.reshape(-1)).reshape(counts.shape)
    rows = np.empty((int(counts.sum()), *parts[0][1].shape[1:]), parts[0][1].dtype)
    for region, values in parts:
        place = 0
        for start, count in zip(starts[region].reshape(-1), counts[region].reshape(-1), strict=True):
            rows[start : start + count] = values[place : place + count]
            place += count
    return rows


def _in_order(
    function: Callable[[Region], Any], blocks: Blocks, threads: int
) -> Iterator[tuple[Region, int, list[Partial]]]:
    # at most one block more than there are threads is in memory: the next is read while the last is merged
    if threads == 1:
        yield from map(function, blocks)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="emdvc")
    waiting: deque[Future[Any]] = deque()
    try:
        for region in blocks:
            waiting.append(pool.submit(function, region))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(
    array: LazyArray, region: Region, scan_axes: tuple[int, ...], order: tuple[int, ...]
) -> tuple[int, NDArray[Any]]:
    # a block in the plans' order: frames first, then the dimensions of a frame
    full = [slice(0, n) for n in array.shape]
    for axis, part in zip(scan_axes, region, strict=True):
        full[axis] = part
    block = array.read(tuple(full)).transpose(order)
    core_shape = block.shape[len(scan_axes) :]
    frames = np.ascontiguousarray(block.reshape(-1, *core_shape))
    if frames.dtype.kind == "b":
        frames = frames.view(np.uint8)
    elif frames.dtype == np.float16:
        frames = frames.astype(np.float32)
    return frames.shape[0], frames


def _store(maps: dict[str, NDArray[Any]], partial: Partial, region: Region, shape: tuple[int, ...]) -> None:
    for name, values in partial.maps.items():
        if name not in maps:
            maps[name] = np.zeros((*shape, *values.shape[1:]), values.dtype)
        maps[name][region] = values.reshape(maps[name][region].shape)


def _check(
    block: NDArray[Any],
    works: Sequence[Work],
    region: Region,
    dims: tuple[str, ...],
    scan_axes: tuple[int, ...],
    core: tuple[str, ...],
) -> None:
    kind, flat = first_invalid(block, all(work.allow_negative for work in works))
    if kind == VALID:
        return
    frame, *pixel = (int(i) for i in np.unravel_index(flat, block.shape))
    probe = np.unravel_index(frame, tuple(part.stop - part.start for part in region)) if region else ()
    where = [
        f"{dims[axis]}={part.start + int(index)}" for axis, part, index in zip(scan_axes, region, probe, strict=True)
    ] + [f"{dim}={index}" for dim, index in zip(core, pixel, strict=True)]
    value = block.reshape(-1)[flat]
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
