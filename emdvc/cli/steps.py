"""``emdvc steps``: the processing steps, and what each needs and gives."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli.plain import PlainCommand

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def steps(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The step to explain; all are listed without it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """List the processing steps, or explain one: parameters with units, metadata read, outputs."""
    from emdvc.cli import output
    from emdvc.render import steps as rendered
    from emdvc.render.columns import columns
    from emdvc.steps import registry

    if name is not None:
        description = rendered.describe(registry.find(name))
        if json:
            output.as_json("step", {"step": description})
        else:
            output.say(rendered.as_text(description))
        return
    known = [registry.find(name) for name in registry.names()]
    if json:
        output.as_json("steps", {"steps": [rendered.describe(step) for step in known]})
        return
    for line in columns([(step.name, " x ".join(step.core), step.summary) for step in known], indent=""):
        output.say(line)
    output.note("emdvc steps NAME explains one; emdvc stage add NAME -d INPUT -o OUTPUT uses it")
