"""``emdvc inspect --pattern`` and ``--picture``: one pattern of a dataset, wherever its bytes are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.formats.contract import ReadOptions


def show(
    text: str, position: str, options: ReadOptions | None, *, picture: str | None, preview: bool, json: bool
) -> None:
    """Print what a pattern holds.

    Parameters
    ----------
    text
        ``PATH`` or ``PATH@REV``.
    position
        As typed.
    options
        How to read a file that has no sidecar.
    picture
        File for its picture.
    preview
        Whether a terminal shows a small one.
    json
        Whether the numbers are printed as JSON.
    """
    from emdvc.compare import pattern as patterns
    from emdvc.history.snapshot import split_revision
    from emdvc.render import pattern as shown

    where = _position(position)
    target = _target(picture)
    path, revision = split_revision(text)
    signal = options.signal if options is not None else None
    with patterns.opened(text, _reading(options), signal) as (found, sidecar):
        pattern = patterns.read(found, patterns.main_variable(found, sidecar, signal), where)
    if target is not None:
        drawn = shown.picture(
            pattern.values,
            pattern.axes,
            name=pattern.variable,
            unit=pattern.unit,
            title=shown.heading(pattern, text),
        )
        _write(target, drawn)
    if json:
        output.as_json("pattern", shown.as_dict(pattern, path, revision, picture))
        return
    output.say(shown.as_text(pattern, text))
    if preview and output.on_terminal():
        for line in shown.lines(pattern):
            output.say(f"  {line}")


def overview(text: str, options: ReadOptions | None, picture: str) -> None:
    """Write the picture of a dataset: of a scan the sum of some patterns, else its middle image or the array itself.

    Parameters
    ----------
    text
        ``PATH`` or ``PATH@REV``.
    options
        How to read a file that has no sidecar.
    picture
        The file.
    """
    from emdvc.compare import pattern as patterns
    from emdvc.errors import UsageError
    from emdvc.render import pattern as shown
    from emdvc.render import preview

    target = _target(picture)
    signal = options.signal if options is not None else None
    with patterns.opened(text, _reading(options), signal) as (found, sidecar):
        variable = patterns.main_variable(found, sidecar, signal)
        axes = [found.axes[dim] for dim in variable.dims]
        roles = [axis.role for axis in axes]
        core, frames = preview.frames_read(variable.array, roles)
        values = preview.small(variable.array, roles)
    if values is None or target is None:
        raise UsageError(
            f"{text} has nothing that is small enough to be drawn",
            evidence=f"{variable.name} is {variable.array.shape} {variable.array.dtype.name}",
            hint="--pattern Y,X draws a part",
        )
    many = "" if frames <= 1 else f", sum of {frames} {'patterns' if core > 1 else 'spectra'}"
    title = f"{text}{many}"
    own = tuple(axes[len(axes) - core :])
    _write(target, shown.picture(values, own, name=variable.name, unit=variable.unit, title=title))


def _reading(options: ReadOptions | None) -> ReadOptions | None:
    """Return what is said of how to read, without the signal; None where nothing is: the sidecar's holds then."""
    from dataclasses import replace

    return None if options is None or not replace(options, signal=None).to_dict() else options


def _position(text: str) -> tuple[int, ...]:
    from emdvc.errors import UsageError

    parts = [part.strip() for part in text.lower().replace("x", ",").split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(
            f"'{text}' is no probe position",
            hint="write --pattern Y,X counted from 0, as in 12,40; of a stack --pattern N",
        )
    return tuple(int(part) for part in parts)


def _target(picture: str | None) -> Path | None:
    from emdvc.errors import UsageError

    if picture is None:
        return None
    path = Path(picture)
    if path.suffix.lower() != ".png":
        raise UsageError(f"a picture cannot be written as {path.name}", hint="--picture pattern.png")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint=f"mkdir {path.parent}")
    return path


def _write(path: Path, content: bytes) -> None:
    import os

    from emdvc.errors import EnvironmentFault

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written", evidence=error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    output.note(f"picture: {path}")
