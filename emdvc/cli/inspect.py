"""``emdvc inspect``: what a dataset is, here or at any revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.compare.state import State
    from emdvc.formats.contract import ReadOptions
    from emdvc.render.last_change import Told
    from emdvc.render.sheet import Place

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def inspect(
    path: Annotated[str, typer.Argument(metavar="PATH[@REV]", help="Data, sidecar, .dvc file, or a result.")],
    reader: Annotated[str | None, typer.Option("--reader", help="Reader of a file without a sidecar.")] = None,
    scan_shape: Annotated[
        str | None, typer.Option("--scan-shape", metavar="NYxNX", help="Probe positions of a file without a sidecar.")
    ] = None,
    signal: Annotated[str | None, typer.Option("--signal", help="Which array of a file without a sidecar.")] = None,
    shape: Annotated[
        str | None, typer.Option("--shape", help="Of headerless numbers: shape, as in 64x64x256x256.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="Of headerless numbers: type with byte order, as in <u2.")
    ] = None,
    offset: Annotated[
        str | None, typer.Option("--offset", metavar="BYTES", help="Of headerless numbers: bytes to skip.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", metavar="Y,X", help="Look at the pattern or spectrum there; of a stack, at frame N."),
    ] = None,
    picture: Annotated[
        str | None, typer.Option("--picture", metavar="FILE", help="Write a picture as PNG: of the pattern, or of all.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="Show a small picture in a terminal.")] = True,
    vendor: Annotated[bool, typer.Option("--vendor", help="Show the vendor's whole metadata, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the data sheet as JSON.")] = False,
) -> None:
    """Show what a dataset is: axes with units, record, size, how it came to be; in a terminal also a small picture.

    Of a dataset under version control only its sidecar is read, so this takes no time even for a terabyte. PATH@REV
    shows it as it was, without checking anything out. A file under no version control is opened, but not read.

    --pattern 12,40 shows one diffraction pattern or spectrum instead; of data that is not here only that part is
    fetched. --picture FILE.png writes it, or without --pattern the sum of some patterns.
    """
    from emdvc.cli import output
    from emdvc.compare import state as states
    from emdvc.render import sheet

    options = _options(reader, scan_shape, signal, shape, dtype, offset)
    if pattern is not None:
        from emdvc.cli import inspect_pattern

        inspect_pattern.show(path, pattern, options, picture=picture, preview=preview, json=json)
        return
    state = states.find(path, options, vendor=vendor)
    place = _place(state)
    last = _last(state)
    if picture is not None:
        from emdvc.cli import inspect_pattern

        inspect_pattern.overview(path, options, picture)
    if json:
        content = sheet.as_dict(state, place, vendor=vendor, last=last.content if last is not None else None)
        output.as_json("inspect", content)
        return
    output.say(sheet.as_text(state, place, vendor=vendor, last=last.rows if last is not None else ()))
    if preview and state.revision is None and place.here and output.on_terminal():
        _show(state, path, options)


def _last(state: State) -> Told | None:
    """Return the last change of a dataset under version control; None for any other."""
    if not state.recorded:
        return None
    from emdvc.render.last_change import last_change

    return last_change(state.path, state.revision)


def _show(state: State, typed: str, options: ReadOptions | None) -> None:
    from emdvc.cli import output
    from emdvc.errors import EmdvcError
    from emdvc.render import preview

    try:
        lines = preview.lines(state.path if state.recorded else Path(typed), state.sidecar, options)
    except EmdvcError as error:
        # the sheet above is the answer; that the bytes cannot be read is worth a word, not a failure
        output.note(f"no picture: {error.cause}")
        return
    for line in lines:
        output.say(f"  {line}")


def _place(state: State) -> Place:
    """Return where the bytes are, and how many."""
    from emdvc.history import edited
    from emdvc.render.sheet import Place

    recorded = [entry.get("size") for entry in state.sidecar.source.get("files") or [] if isinstance(entry, dict)]
    count = sum(int(size) for size in recorded if size is not None) if any(recorded) else None
    if state.revision is not None:
        return Place(None, count, edited=edited.at(Path(state.path), state.revision))
    file = Path(str(state.path).split("::", 1)[0]) if not state.recorded else state.path
    declared = edited.of(file)
    if file.exists():
        return Place(True, count if count is not None else _bytes_on_disk(file), edited=declared)
    command = f"emdvc pull {state.path.as_posix()}"
    return Place(False, count, command, declared)


def _bytes_on_disk(path: Path) -> int:
    import os

    if path.is_file():
        return path.stat().st_size
    return sum(
        os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118  (a store may hold 100 000 chunks)
        for folder, _, names in os.walk(path)
        for name in names
    )


def _options(
    reader: str | None,
    scan_shape: str | None,
    signal: str | None,
    shape: str | None,
    dtype: str | None,
    offset: str | None,
) -> ReadOptions | None:
    if not any((reader, scan_shape, signal, shape, dtype, offset)):
        return None
    from emdvc.errors import Code, UsageError
    from emdvc.formats.contract import ReadOptions

    scan = _numbers(scan_shape, "--scan-shape")
    if scan is not None and len(scan) != 2:
        hint = "write --scan-shape NYxNX, as in 256x256"
        raise UsageError(f"'{scan_shape}' is no scan shape", code=Code.SCAN_SHAPE, hint=hint)
    skipped = _numbers(offset, "--offset") or (0,)
    return ReadOptions(
        reader=reader,
        scan_shape=(scan[0], scan[1]) if scan else None,
        signal=signal,
        shape=_numbers(shape, "--shape"),
        dtype=dtype,
        offset=skipped[0],
    )


def _numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    from emdvc.errors import UsageError

    if text is None:
        return None
    parts = text.lower().replace(",", "x").split("x")
    if not all(part.strip().isdigit() for part in parts) or (option == "--offset" and len(parts) != 1):
        example = "1024" if option == "--offset" else "256x256"
        raise UsageError(f"'{text}' cannot be meant by {option}", hint=f"write {option} {example}")
    return tuple(int(part) for part in parts)
