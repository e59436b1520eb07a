"""``emdvc add``: put a file, a set of files or a Zarr store under version control."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.adding import Added
    from emdvc.history.edited import Edited

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def add(
    source: str = typer.Argument(
        metavar="SOURCE", help="File, store or folder; FILE.h5::/path/inside names an array in it. A URL: --in-place."
    ),
    dest: str | None = typer.Argument(
        None, metavar="DEST", help="Where it goes; by default raw/, or where it is in the project."
    ),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Complete or correct the record, as beam.energy=200keV."),
    ] = None,
    scan_shape: str | None = typer.Option(None, metavar="NYxNX", help="Probe positions, where the file does not say."),
    dims: str | None = typer.Option(None, metavar="NAMES", help="Dimensions, slowest first: y,x,ky,kx."),
    reader: str | None = typer.Option(None, help="Reader to use, where several claim the file (emdvc formats)."),
    signal: str | None = typer.Option(None, help="Array that is meant, where the file holds several."),
    shape: str | None = typer.Option(None, help="Of headerless numbers: shape, as in 64x64x256x256."),
    dtype: str | None = typer.Option(None, help="Of headerless numbers: type with byte order, as in <u2."),
    offset: int = typer.Option(0, min=0, help="Of headerless numbers: bytes to skip."),
    replace: str | None = typer.Option(
        None, metavar="REASON", help="Put other bytes at the place of recorded ones; the reason is kept."
    ),
    edited: bool = typer.Option(
        False, "--edited", help="People go on editing it (labels, masks, annotations): it stays writable, no raw data."
    ),
    mergeable: Annotated[
        list[str] | None,
        typer.Option(metavar="ARRAY", help="Array that merges element by element; implies --edited. Repeatable."),
    ] = None,
    in_place: bool = typer.Option(
        False, "--in-place", help="Leave the data where they lie: a facility's drive, s3://, ssh://, https://."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only check, and say what would be done."),
    json: bool = typer.Option(False, "--json", help="Print the answer as JSON."),
) -> None:
    """Put a file, a set of files or a Zarr store under version control.

    The bytes are kept as they are and made read-only; beside them the sidecar DEST.em.yaml says what they are. Adding
    the same again changes nothing, so --set also completes the record of what was added before.

    With --in-place nothing is copied: the data are read once where they lie, for their checksums, and read from there
    again whenever they are needed. What changes there later is noticed.

    Raw data never changes. What people go on correcting by hand is declared with --edited: its files stay writable,
    emdvc save records every change, and a merge joins the changes of two people by file and chunk, and in the arrays
    that --mergeable names by element.
    """
    from emdvc.cli.progress import shown
    from emdvc.errors import UsageError
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.adding import Request
    from emdvc.history.adding import add as add_data

    if replace is not None and not replace.strip():
        raise UsageError("--replace needs a reason", hint='--replace "the first export was cut off"')
    options = ReadOptions(
        reader=reader,
        scan_shape=_scan(scan_shape),
        signal=signal,
        shape=_numbers(shape, "--shape"),
        dtype=dtype,
        offset=offset,
        dims=tuple(name.strip() for name in dims.split(",")) if dims else None,
    )
    names = tuple(mergeable or ())
    request = Request(source, dest, tuple(settings or ()), options, replace, dry_run, edited or bool(names), names)
    if in_place and request.edited:
        raise UsageError("data that lies elsewhere is not edited here", hint="leave out --in-place or --edited")
    if in_place:
        from emdvc.history.in_place.recording import add_in_place

        added = add_in_place(request, shown)
    elif "://" in source:
        raise UsageError(
            f"{source} is a URL, and add takes files",
            hint=f"to record the data where they lie: emdvc add {source} --in-place",
        )
    else:
        added = add_data(request, shown)
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    if json:
        output.as_json("add", _plain(added))
    else:
        _print(added, last=not dry_run)


def _numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    from emdvc.errors import UsageError

    if text is None:
        return None
    parts = [part for part in re.split(r"[x×,\s]+", text.strip("()[] ")) if part]
    if not parts or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"'{text}' is no shape", hint=f"write {option} 256x256")
    return tuple(int(part) for part in parts)


def _scan(text: str | None) -> tuple[int, int] | None:
    from emdvc.errors import Code, UsageError

    numbers = _numbers(text, "--scan-shape")
    if numbers is None:
        return None
    if len(numbers) != 2:
        hint = "write --scan-shape NYxNX, as in 256x256"
        raise UsageError(f"'{text}' is no scan shape", code=Code.SCAN_SHAPE, hint=hint)
    return numbers[0], numbers[1]


def _plain(added: Added) -> dict[str, Any]:
    sidecar = added.sidecar
    return {
        "path": str(added.path),
        "sidecar": f"{added.path}.em.yaml",
        "action": added.action,
        "notes": list(added.notes),
        "edited": None if added.edited is None else added.edited.to_dict(),
        "data": {name: info.to_dict() for name, info in sidecar.variables.items()},
        "main": sidecar.main,
        "source": sidecar.source,
    }


_SAYS = {
    "added": "added",
    "replaced": "replaced",
    "edited": "recorded the edits of",
    "declared": "declared as edited data:",
    "described": "read anew",
    "recorded": "record completed of",
    "unchanged": "unchanged: these bytes are already recorded as",
}


def _print(added: Added, *, last: bool) -> None:
    sidecar = added.sidecar
    main = sidecar.variables[sidecar.main]
    output.say(f"{_SAYS[added.action]} {added.path}")
    for note in added.notes:
        output.say(f"  {note}")
    size = sum(int(entry.get("size") or 0) for entry in sidecar.source.get("files") or [])
    shape = f"({', '.join(main.dims)}) = ({', '.join(map(str, main.shape))})"
    output.say(f"  {shape}, {main.dtype}, {_bytes(size)}, by {sidecar.source.get('reader')}")
    if added.edited is not None:
        output.say(f"  {_edited(added.edited)}")
    if added.action == "unchanged":
        return
    unknown = _unknown(sidecar.record)
    if unknown and added.edited is None:  # labels were not measured
        output.say(f"  not known yet: {', '.join(unknown)}; emdvc add {added.path} --set {unknown[0]}=...")
    if last and added.action in ("added", "replaced", "edited", "declared"):
        output.say(f'next: emdvc inspect {added.path}, or emdvc save -m "..."')


def _edited(edited: Edited) -> str:
    names = ", ".join(edited.by_element)
    return "edited data: writable, each change is recorded by emdvc save" + (f"; {names} by element" if names else "")


def _unknown(record: dict[str, Any]) -> list[str]:
    from emdvc.model import record as rec

    return [key for key in rec.BY_KEY if rec.get(record, key) is None and key in dict(rec.leaves(record))]


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
