"""``emdvc doctor``: check the set-up and name each remedy."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli import output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def doctor(
    no_remote: Annotated[bool, typer.Option("--no-remote", help="Do not ask the remote.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when a check failed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Check git, DVC, the project's settings, raw data, sidecars, stages and the remote, and name each remedy."""
    from emdvc.history.doctor import examine
    from emdvc.history.project import Project

    findings = []
    for finding in examine(Project.find_or_none(), ask_remote=not no_remote):
        findings.append(finding)
        if not json:
            output.say(f"{finding.verdict:<4}  {finding.check}: {finding.text}")
            if finding.remedy:
                output.say(f"        {finding.remedy}")
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in ("ok", "warn", "fail")}
    if json:
        output.as_json("doctor", {"counts": counts, "findings": [finding.to_dict() for finding in findings]})
    else:
        output.say(f"{counts['ok']} fine, {counts['warn']} to look at, {counts['fail']} to mend")
    if exit_code and counts["fail"]:
        raise typer.Exit(1)
