"""Storing a dataset anew as Zarr: read block by block, compressed in threads, checked, and put in place at once."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emdvc.engine import memory as budget
from emdvc.engine.convert_blocks import ConvertBlocks
from emdvc.engine.cores import default_threads, one_processor
from emdvc.engine.frame_sums import FrameSums
from emdvc.errors import Code, FormatError, InternalError, StepError
from emdvc.formats.contract import LazyArray, Opened, Region, Variable
from emdvc.formats.converting import Form, clashing, scan_axes
from emdvc.formats.digest import content_digest
from emdvc.formats.registry import open_file
from emdvc.formats.results import Result, ResultVariable
from emdvc.formats.store_files import StoreFiles, converted_sidecar
from emdvc.formats.stored_array import StoredArray
from emdvc.model.sidecar import Sidecar
from emdvc.steps.convert import Convert

#: Says how many bytes were worked on since the last call; there are :attr:`Source.work` in all.
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What is converted.

    Parameters
    ----------
    opened
        The dataset, its axes and record as its sidecar has them.
    name
        What messages and the provenance call it.
    digests
        Content digests that are known, by array; the others are computed.
    path
        Where it lies: it is not overwritten.
    inherits
        The data whose sidecar holds for the result too; None for a result that says everything itself.
    """

    opened: Opened
    name: str
    digests: Mapping[str, str]
    path: Path
    inherits: Path | None = None

    @property
    def work(self) -> int:
        """Bytes to work on: all numbers are converted and read back, and read once more where no digest is known."""
        return sum(
            math.prod(variable.array.shape)
            * variable.array.dtype.itemsize
            * (2 if self.digests.get(variable.name) else 3)
            for variable in self.opened.variables
        )


def convert(
    source: Source,
    out: Path,
    form: Form,
    *,
    threads: int | None = None,
    memory: int | None = None,
    advance: Advance | None = None,
    draw: Callable[[Result], bytes] | None = None,
) -> Sidecar:
    """Store a dataset as Zarr 3 with its sidecar: the same numbers, the same bytes for any number of threads.

    Complete or absent: store, picture and sidecar appear at the end, after the store was read back and its content
    digests were those of the source.

    Parameters
    ----------
    source
        What is converted.
    out
        Where the store goes; an older one there is replaced.
    form
        Chunks, compression, shards, order.
    threads
        Number of threads.
    memory
        Bytes that the blocks in flight may take.
    advance
        Called as bytes are worked on, from one thread at a time.
    draw
        Makes the picture beside the store, of the sum over all probe positions; None for no picture.

    Returns
    -------
    Sidecar
        What was written.

    Raises
    ------
    StepError
        The form does not fit the dataset.
    ConflictError
        Something else lies at `out`.
    FormatError
        The source is damaged, or not what its sidecar says.
    """
    opened, files = source.opened, StoreFiles(out)
    files.check(source.path)
    threads = threads or default_threads()
    told = advance or (lambda count: None)
    stored = arrays(opened, form)
    with files.writing() as store:
        if source.inherits is None:
            files.describe(opened)
        sums = []
        for variable, array in zip(opened.variables, stored, strict=True):
            array.create(store)
            sums.append(_write(variable, array, store, scan_axes(variable.dims, opened.axes), threads, memory, told))
        digests = [_checked(source, *pair, store, threads, told) for pair in zip(opened.variables, stored, strict=True)]
        picture = draw(_overview(source, sums[0])) if draw is not None else None
        sidecar = converted_sidecar(
            out, opened, stored, digests, _provenance(source, form, digests[0]), source.inherits
        )
        files.publish(sidecar, picture)
    return sidecar


def arrays(opened: Opened, form: Form) -> list[StoredArray]:
    """Return how each array of a dataset would be stored.

    Raises
    ------
    StepError
        The form does not fit the main array, two arrays cannot lie in one store, or one holds no numbers.
    """
    for variable in opened.variables:
        if variable.array.dtype.kind not in "biufc":
            raise StepError(f"{variable.name} holds no numbers", evidence=f"its type is {variable.array.dtype}")
    stored = [form.of(variable, opened.axes, main=not index) for index, variable in enumerate(opened.variables)]
    if (path := clashing(array.path for array in stored)) is not None:
        raise StepError(
            f"two arrays of this dataset would both be stored as {path}",
            code=Code.STEP_PARAMETER,
            evidence=f"it holds {', '.join(variable.name for variable in opened.variables)}",
            hint="convert one of them: --signal NAME",
        )
    return stored


def form_of(parameters: Any) -> Form:
    """Return what the parameters of the step `convert` say of the form."""
    return Form(parameters.chunks, parameters.codec, parameters.shards, parameters.layout)


def foresee(opened: Opened, form: Form) -> list[str]:
    """Return what a conversion would store, an array a line.

    Raises
    ------
    StepError
        As :func:`convert`.
    """
    lines = []
    for array in arrays(opened, form):
        files = math.prod(-(-n // s) for n, s in zip(array.shape, array.keys.stored, strict=True))
        lines.append(f"{array.path}: chunks of {' x '.join(map(str, array.chunk))} in {files} files, {form.codec}")
    return lines


def _provenance(source: Source, form: Form, digest: str) -> dict[str, Any]:
    return {
        "step": Convert.name,
        "version": Convert.version,
        "parameters": asdict(form),
        "metadata": [],
        "inputs": {source.name: {"digest": digest}},
    }


def _write(
    variable: Variable,
    stored: StoredArray,
    store: Path,
    scan: tuple[int, ...],
    threads: int,
    memory: int | None,
    advance: Advance,
) -> FrameSums:
    """Write all files of an array and return the sum of its frames."""
    array = variable.array
    blocks = ConvertBlocks.of(array, stored)
    sums = FrameSums(variable.dims, array.shape, scan)
    at_once = budget.blocks_at_once(blocks.nbytes, threads, memory)

    def one(region: Region) -> tuple[int, FrameSums]:
        part = FrameSums(variable.dims, array.shape, scan)
        with one_processor():
            _one_block(array, blocks, store, region, part)
        return math.prod(piece.stop - piece.start for piece in region) * array.dtype.itemsize, part

    for count, part in _in_order(one, iter(blocks), min(threads, at_once), at_once):
        sums.merge(part)
        advance(count)
    return sums


def _one_block(array: LazyArray, blocks: ConvertBlocks, store: Path, region: Region, sums: FrameSums) -> None:
    values = None if blocks.chunk_by_chunk else array.read(region)

    def get(wanted: Region) -> Any:
        if values is None:
            found = array.read(wanted)
        else:
            inside = zip(wanted, region, strict=True)
            found = values[tuple(slice(part.start - at.start, part.stop - at.start) for part, at in inside)]
        sums.add(wanted, found)
        return found

    for index in blocks.files(region):
        blocks.stored.write(store, index, get)


def _in_order(
    work: Callable[[Region], tuple[int, FrameSums]], regions: Iterator[Region], threads: int, at_once: int
) -> Iterator[tuple[int, FrameSums]]:
    if threads == 1:
        yield from map(work, regions)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="emdvc-convert")
    running: deque[Future[tuple[int, FrameSums]]] = deque()
    try:
        for region in regions:
            running.append(pool.submit(work, region))
            if len(running) >= at_once:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _checked(
    source: Source, variable: Variable, stored: StoredArray, store: Path, threads: int, advance: Advance
) -> str:
    """Return the content digest of an array as it is read back, which must be that of the source."""
    lock = threading.Lock()

    def done(count: int) -> None:
        with lock:
            advance(count)

    written = open_file(store)
    try:
        found = content_digest(written.variable(stored.path).array, threads=threads, advance=done)
    finally:
        written.close()
    known = source.digests.get(variable.name)
    expected = known or content_digest(variable.array, threads=threads, advance=done)
    if found == expected:
        return found
    if known and content_digest(variable.array, threads=threads) == found:
        raise FormatError(
            f"{source.name} is not what its sidecar says",
            code=Code.FORMAT_BROKEN,
            evidence=f"{variable.name} has the content digest {found}, recorded is {known}",
            hint="`dvc checkout` brings the recorded data back",
        )
    raise InternalError(
        f"{variable.name} does not read back as it was written",
        evidence=f"its content digest is {found}, that of {source.name} {expected}",
    )


def _overview(source: Source, sums: FrameSums) -> Result:
    variable, total = source.opened.variables[0], sums.total()
    title = "sum of all probe positions" if total.ndim < len(variable.dims) else variable.name
    shown = ResultVariable(variable.name, sums.dims, total, variable.unit, bool((total < 0).any()), title)
    return Result((shown,), source.opened.axes, title=f"convert of {Path(source.name).name}")
