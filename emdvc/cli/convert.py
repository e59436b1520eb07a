"""``emdvc convert``: the same numbers as chunked, compressed Zarr. What the stage of the step `convert` runs, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli.output import note, say

if TYPE_CHECKING:
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.running import Run

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A dataset of any format that emdvc reads.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the Zarr store goes, such as data/scan.zarr.")
    ],
    chunks: Annotated[
        str | None, typer.Option(help="Shape of a chunk, as 16,16,all,all; default: auto, 2 MiB of whole frames.")
    ] = None,
    codec: Annotated[
        str | None, typer.Option(help="none, zstd-LEVEL or blosc-CODEC-LEVEL, as blosc-zstd-3, blosc-lz4.")
    ] = None,
    shards: Annotated[
        str | None, typer.Option(help="Shape of a file that holds many chunks, as 64,64,all,all; default: none.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Order in a chunk: frame, or pixel (all probe positions of each).")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="Which array, where the input holds several.")] = None,
    scan_shape: Annotated[
        str | None, typer.Option(metavar="NYxNX", help="Probe positions, where the file does not say.")
    ] = None,
    reader: Annotated[str | None, typer.Option(help="Reader to use, where several claim the file.")] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Write all metadata with the result, not a reference to the input's.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Read what is recorded where it is: the cache, else the remote.")
    ] = False,
    memory: Annotated[str | None, typer.Option(help="Memory for blocks, as 512MB; default: a quarter.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; default: EMDVC_THREADS, or all.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be written.")] = False,
) -> None:
    """Store a dataset as Zarr 3: chunks of neighbouring probe positions, compressed without loss.

    The numbers are compared with the input's before the result appears. The same input gives the same bytes, for any
    number of threads. For a stage: emdvc stage add convert -d INPUT -o OUTPUT.
    """
    from emdvc.engine.lifeline import follow_parents

    follow_parents()  # before the slow imports: DVC may be killed meanwhile
    from emdvc.engine.memory import parse
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.running import context

    given = {"chunks": chunks, "codec": codec, "shards": shards, "layout": layout}
    settings = [f"{name}={value}" for name, value in given.items() if value is not None]
    options = ReadOptions(reader=reader, scan_shape=_scan(scan_shape))
    convert_run(
        context("convert", source, output, settings=settings, in_place=in_place),
        output,
        signal=signal,
        options=options if options.to_dict() else None,
        standalone=standalone,
        memory=parse(memory) if memory else None,
        threads=threads,
        dry_run=dry_run,
    )


def convert_run(
    run: Run,
    output: Path,
    *,
    signal: str | None = None,
    options: ReadOptions | None = None,
    standalone: bool = False,
    memory: int | None = None,
    threads: int | None = None,
    dry_run: bool = False,
) -> None:
    """Convert the input of a run of the step `convert`; what ``emdvc run convert`` calls, too."""
    from contextlib import nullcontext
    from time import monotonic

    from emdvc.cli.progress import shown
    from emdvc.engine import convert as engine
    from emdvc.formats.dataset import locate
    from emdvc.history.in_place.reading import reading
    from emdvc.history.resuming import sole_writer
    from emdvc.history.run_records import remember
    from emdvc.render.picture import draw

    began = monotonic()
    form = engine.form_of(run.parameters)
    read = reading(run, options=options, signal=signal)
    opened, sidecar = read.opened, read.sidecar
    try:
        if signal is not None:
            opened.variables = (opened.variable(signal),)
        if dry_run:
            for line in engine.foresee(opened, form):
                say(f"{output} would hold {line}")
            return
        known = {name: info.digest for name, info in sidecar.variables.items()}
        inherits = None if standalone else run.inherited
        source = engine.Source(opened, run.name, known, locate(run.source)[0], inherits)
        alone = sole_writer(run.project, output) if run.project is not None else nullcontext()
        with alone, shown(f"converting {run.name}", source.work) as advance:
            written = engine.convert(
                source,
                output,
                form,
                threads=threads,
                memory=memory,
                advance=advance,
                draw=draw,
            )
    finally:
        opened.close()
    remember(run.project, output, written, monotonic() - began)
    for name, info in written.variables.items():
        size = sum(path.stat().st_size for path in (output / name).iterdir())
        note(f"{output} {name}: {_shape(info)}, {size / 1e6:.3g} MB, content digest as in {run.name}")


def _shape(info: Any) -> str:
    return f"({', '.join(info.dims)}) = ({', '.join(map(str, info.shape))})"


def _scan(text: str | None) -> tuple[int, int] | None:
    from emdvc.errors import Code, UsageError

    if text is None:
        return None
    match = re.fullmatch(r"\s*([1-9]\d*)\s*[x×,]\s*([1-9]\d*)\s*", text)
    if match is None:
        raise UsageError(
            f"'{text}' is no scan shape", code=Code.SCAN_SHAPE, hint="write --scan-shape NYxNX, as in 256x256"
        )
    return int(match[1]), int(match[2])
