"""``emdvc demo``: the whole path in one command, with commentary."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(
    folder: Path = typer.Argument(..., metavar="DIR", help="A new or empty folder; everything happens in it."),
    data: str | None = typer.Option(
        None,
        "--data",
        metavar="FILE",
        help="Your own diffraction data, of any format that emdvc reads, instead of a simulated scan.",
    ),
    signal: str | None = typer.Option(None, help="Which array of FILE, where it holds several."),
    scan_shape: str | None = typer.Option(None, metavar="NYxNX", help="Probe positions, where FILE does not say."),
) -> None:
    """The whole path on a simulated or your own scan, with commentary.

    A project, a scan, stages, `dvc repro`, a corrected calibration and what it changes, a colleague who gets the same
    bytes. Each command is run as you would type it. Ends with status 0 only when every promise held.
    """
    from emdvc.cli.demo_story import tell
    from emdvc.errors import Code, ConflictError, UsageError

    if folder.is_file():
        raise UsageError(f"{folder} is a file", hint="emdvc demo NEW-FOLDER")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConflictError(
            f"{folder} is not empty",
            code=Code.USAGE,
            evidence=f"it holds {next(folder.iterdir()).name}",
            hint=f"emdvc demo {folder}-2",
        )
    tell(folder.absolute(), None if data is None else _given(data, signal, scan_shape))


def _given(data: str, signal: str | None, scan_shape: str | None) -> list[str]:
    """Return what `emdvc add` is given: the file by its absolute path, and the options."""
    from emdvc.errors import Code, UsageError
    from emdvc.formats.registry import split_inner

    file, inner = split_inner(data)
    if not file.exists():
        raise UsageError(f"there is no file {file}", code=Code.NOT_FOUND)
    options = {"--signal": signal, "--scan-shape": scan_shape}
    words = [word for option, value in options.items() if value is not None for word in (option, value)]
    return [f"{file.absolute()}::{inner}" if inner else str(file.absolute()), *words]
