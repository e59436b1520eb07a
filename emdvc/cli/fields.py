"""``emdvc fields``: the fields of the acquisition record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def fields(
    section: str | None = typer.Argument(
        None, metavar="SECTION", help="Only the fields of one section, such as beam, or one field."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List the fields of the acquisition record: key, unit, meaning, and where HyperSpy and NeXus keep the same.

    The keys are what `--set KEY=VALUE` takes and what stands in a sidecar.
    """
    from emdvc.cli import output
    from emdvc.errors import Code, MetadataError, suggest
    from emdvc.model.record import FIELDS, SECTIONS

    chosen = [f for f in FIELDS if section is None or f.key == section or f.key.startswith(f"{section}.")]
    if not chosen:
        near = suggest(str(section), [*SECTIONS, *(f.key for f in FIELDS)])
        raise MetadataError(
            f"there is no field or section '{section}'",
            code=Code.METADATA_KEY,
            evidence=f"the sections are {', '.join(SECTIONS)}",
            hint=f"did you mean emdvc fields {near}?" if near else "emdvc fields",
        )
    if as_json:
        output.as_json("fields", {"fields": [asdict(f) for f in chosen]})
        return
    for line in output_lines([(f.key, f.unit or f.kind, f.doc) for f in chosen], ("KEY", "UNIT", "WHAT IT IS")):
        output.say(line)
    if section is None:
        output.say()
        output.say("`emdvc fields SECTION` adds where HyperSpy and NeXus keep the same.")
        return
    output.say()
    places = [(f.key, f.hyperspy or "-", f.nexus or "-") for f in chosen]
    for line in output_lines(places, ("KEY", "HYPERSPY", "NEXUS (NXem)")):
        output.say(line)
    output.say()
    output.say("T: Acquisition_instrument.TEM   N: /entry/measurement/eventID/instrument   O: N/optics")
    output.say("B: N/ebeam_column   I: /entry/measurement/instrument   D: N/detectorID")


def output_lines(rows: Sequence[tuple[str, ...]], heading: tuple[str, ...]) -> list[str]:
    """Return rows as aligned lines, the last column unpadded."""
    table = [heading, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(heading) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in table
    ]
