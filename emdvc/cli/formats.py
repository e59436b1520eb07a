"""``emdvc formats``: the readers, and what each needs."""

from __future__ import annotations

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def formats(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the readers: extensions, whether lazy, licence, whether installed.

    A file is recognised by its content; `--reader NAME` of `emdvc add` takes another reader.
    """
    from emdvc.cli import output
    from emdvc.cli.fields import output_lines
    from emdvc.formats.registry import readers

    table = readers()
    if as_json:
        output.as_json(
            "formats",
            {
                "readers": [
                    {
                        "name": info.name,
                        "formats": info.formats,
                        "extensions": list(info.extensions),
                        "lazy": info.lazy,
                        "licence": info.licence,
                        "packages": list(info.packages),
                        "extra": info.extra,
                        "installed": info.installed,
                    }
                    for info in table
                ]
            },
        )
        return
    rows = [
        (
            info.name,
            "yes" if info.lazy else "no",
            info.licence.replace("-or-later", "+"),
            "yes" if info.installed else f"emdvc[{info.extra}]" if info.extra else "no",
            _described(info.formats, info.extensions),
        )
        for info in table
    ]
    for line in output_lines(rows, ("READER", "LAZY", "LICENCE", "INSTALLED", "FORMATS")):
        output.say(line)
    absent = sorted({info.extra for info in table if not info.installed and info.extra})
    if absent:
        output.say()
        output.say(f"pip install 'emdvc[{','.join(absent)}]' installs what is missing")


def _described(formats: str, extensions: tuple[str, ...]) -> str:
    """Return what a reader reads, and the extensions that this does not name: four at most."""
    unsaid = [extension for extension in extensions if extension not in formats]
    if not unsaid:
        return formats
    return f"{formats} ({' '.join(unsaid[:4])}{' ...' if len(unsaid) > 4 else ''})"
