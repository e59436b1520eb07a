"""``emdvc steps``: the processing steps, and what each needs and gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.steps.contract import Step

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def steps(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The step to explain, or a script with one; all are listed without it."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """List the processing steps, those of the project's scripts too, or explain one.

    Of one step: its parameters with their units, the metadata that it reads, the arrays that it gives.
    """
    from emdvc.cli import output
    from emdvc.render import steps as rendered
    from emdvc.render.columns import columns
    from emdvc.steps import registry

    if name is not None:
        description = rendered.describe(_find(name))
        if json:
            output.as_json("step", {"step": description})
        else:
            output.say(rendered.as_text(description))
        return
    known = [*(registry.find(name) for name in registry.names()), *_of_the_project()]
    if json:
        output.as_json("steps", {"steps": [rendered.describe(step) for step in known]})
        return
    for line in columns([(step.name, " x ".join(step.core), step.summary) for step in known], indent=""):
        output.say(line)
    output.note("emdvc steps NAME explains one; emdvc stage add NAME -d INPUT -o OUTPUT uses it")


def _of_the_project() -> Iterator[Step]:
    """Yield the steps that the project's scripts define; of a script that cannot be loaded, the reason is noted."""
    from emdvc.cli import output
    from emdvc.errors import EmdvcError
    from emdvc.history.project import Project

    project = Project.find_or_none()
    if project is None:
        return
    from emdvc.steps import user

    for script in user.scripts(project.root):
        try:
            yield from user.steps_in(script, project.root)
        except EmdvcError as error:
            output.note(str(error))


def _find(name: str) -> Step:
    from emdvc.history.project import Project
    from emdvc.history.stage_deps import typed_step
    from emdvc.steps import registry

    project = Project.find_or_none()
    return typed_step(project, name) if project is not None else registry.find(name)
