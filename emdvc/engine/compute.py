"""Running plans over an array: every block is read once and feeds them all; blocks are merged in their order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from emdvc.engine.block_task import BlockTask, Work
from emdvc.engine.blocks import Blocks, cut
from emdvc.engine.cores import default_threads
from emdvc.engine.frames import Frames
from emdvc.engine.how import How
from emdvc.engine.ledger import Ledger, Sums
from emdvc.engine.map_file import stored_chunks
from emdvc.engine.memory import blocks_at_once
from emdvc.engine.reuse import Reuse
from emdvc.engine.threads import Threads
from emdvc.formats.chunk_files import ChunkFiles, in_memory
from emdvc.formats.contract import Region
from emdvc.steps.contract import Partial, Plan


@dataclass(frozen=True, slots=True)
class Computed:
    """What a plan gave.

    Parameters
    ----------
    plan
        The plan; that of the last pass, where there were several.
    arrays
        Its output arrays by name; large ones stay in files.
    chunks
        How the per-probe arrays are stored.
    """

    plan: Plan
    arrays: dict[str, NDArray[Any] | ChunkFiles]
    chunks: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Passed:
    """What one pass gave for one plan."""

    maps: dict[str, NDArray[Any] | ChunkFiles]
    sums: Sums | None
    frames: int
    blocks: Blocks


def compute(frames: Frames, works: Sequence[Work], how: How | None = None) -> list[Computed]:
    """Run plans over an array, reading it once (twice for plans that say so), and return what each gave.

    Parameters
    ----------
    frames
        The array.
    works
        The plans.
    how
        Threads, memory, place; nothing of it changes the result.

    Raises
    ------
    StepError
        A sample is no count.
    UsageError
        The memory that was allowed does not hold one block.
    """
    how = how or How()
    found: list[Computed | None] = [None] * len(works)
    waiting = list(enumerate(works))
    number = 0
    while waiting:
        following = []
        for group in _by_spans(waiting):
            for (index, work), passed in zip(group, _one_pass(frames, group, how, number), strict=True):
                plan = work.plan.following(passed.sums, passed.frames)
                if plan is not None:
                    following.append((index, Work(plan, work.allow_negative)))
                else:
                    found[index] = _finished(work.plan, passed)
            number += 1
        waiting = following
    return [one for one in found if one is not None]


def _by_spans(works: list[tuple[int, Work]]) -> list[list[tuple[int, Work]]]:
    """Return the plans in groups that read the same part of the scan: each group is one pass."""
    groups: list[list[tuple[int, Work]]] = []
    for one in works:
        for group in groups:
            if dict(group[0][1].plan.spans) == dict(one[1].plan.spans):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _one_pass(frames: Frames, group: list[tuple[int, Work]], how: How, number: int) -> list[_Passed]:
    works = [work for _, work in group]
    plans = [work.plan for work in works]
    scan_axes = frames.scan_axes
    blocks = cut(frames.array, scan_axes, tuple(plans[0].spans.get(frames.dims[axis]) for axis in scan_axes))
    reuse = Reuse.of(plans, [how.earlier.get(index) for index, _ in group], blocks)
    folder = how.folder / f"pass-{number}" if how.folder is not None else None
    with closing(Ledger(folder, plans, blocks)) as ledger:
        _complete(ledger, frames, works, blocks, reuse, how)
        total = sum(_count(region) for region in blocks)
        return [_Passed(ledger.maps(place), ledger.sums(place), total, blocks) for place in range(len(works))]


def _complete(
    ledger: Ledger, frames: Frames, works: Sequence[Work], blocks: Blocks, reuse: Reuse | None, how: How
) -> None:
    """Take from an earlier run or compute what the ledger lacks, and merge all blocks in their order."""
    regions = list(blocks)
    parts: dict[int, Region] = {}  # what must be computed of each block
    for index, region in enumerate(regions):
        part = reuse.changed(region) if reuse is not None else region
        if index not in ledger.finished and part is not None:
            parts[index] = part
            continue
        if index not in ledger.finished and reuse is not None:
            ledger.keep(index, reuse.block(region))
        how.said(_count(region))

    def keep(index: int, partials: list[Partial]) -> None:
        region, part = regions[index], parts[index]
        whole = reuse is None or part == region
        ledger.keep(index, partials if whole or reuse is None else reuse.block(region, part, partials))

    threads = how.threads or default_threads()
    at_once = blocks_at_once(_block_bytes(frames, blocks), threads, how.memory)
    executor = how.executor or Threads(threads)
    task = BlockTask(works, frames.dims, frames.core, frames.array.dtype)
    ready = set(range(len(regions))) - set(parts)
    merged = 0
    for index, _ in executor.run(task, frames, parts.items(), keep, at_once):
        how.said(_count(regions[index]))
        ready.add(index)
        while merged in ready:
            ledger.merge(merged)
            merged += 1
    for index in range(merged, len(regions)):
        ledger.merge(index)


def _finished(plan: Plan, passed: _Passed) -> Computed:
    names = {output.name for output in plan.outputs}
    final = {name: values for name, values in passed.maps.items() if name in names}
    rest = {name: in_memory(values) for name, values in passed.maps.items() if name not in names}
    arrays = {**final, **plan.finish(rest, passed.sums, passed.frames)}
    ragged = {output.name for output in plan.outputs if output.ragged or not output.per_probe}
    chunks = {
        name: stored_chunks(values.shape, values.dtype, passed.blocks)
        for name, values in arrays.items()
        if name not in ragged
    }
    return Computed(plan, arrays, chunks)


def _count(region: Region) -> int:
    count = 1
    for part in region:
        count *= part.stop - part.start
    return count


def _block_bytes(frames: Frames, blocks: Blocks) -> int:
    size = int(frames.array.dtype.itemsize)
    for dim, samples in zip(frames.dims, frames.array.shape, strict=True):
        size *= samples if dim in frames.core else 1
    for samples in blocks.block:
        size *= samples
    return size
