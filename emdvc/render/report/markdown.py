"""The state of a project as Markdown for a comment on a merge request: as long as a forge takes, and no longer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from emdvc.compare.report.state import DatasetState, Report
from emdvc.render import columns as text
from emdvc.render import sheet
from emdvc.render.difference.markdown import as_markdown as difference_as_markdown
from emdvc.render.markdown_text import code, entities, row, said, size, table, tagged
from emdvc.render.report import facts
from emdvc.render.report.pipeline_drawing import mermaid
from emdvc.render.report.pipeline_graph import graph_of

#: First line of every report: a job in CI finds its comment by it, to write it anew instead of adding one.
MARK = "<!-- emdvc report -->"
#: What GitHub takes; GitLab takes more.
LIMIT = 65_536
_LONGEST = 160


@dataclass(slots=True)
class Letter:
    """A text that grows as long as there is room, and knows what did not fit.

    Parameters
    ----------
    limit
        Bytes of UTF-8.
    parts
        What it holds.
    missing
        What was left out.
    """

    limit: int
    parts: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Bytes that are left."""
        return self.limit - sum(size(part) + 1 for part in self.parts)

    def add(self, part: str, name: str = "") -> bool:
        """Add a part when it fits, else note its name as missing."""
        if size(part) + 1 <= self.room:
            self.parts.append(part)
            return True
        if name:
            self.missing.append(name)
        return False

    def table(self, heading: str, head: Sequence[str], rows: Sequence[str], share: float, name: str) -> None:
        """Add a table; of its rows as many as fit into a share of the room."""
        if not rows:
            return
        start = "\n".join([f"### {heading}\n", *table(head)])
        room = share * self.room - size(start) - 1
        fitting = 0
        for line in rows:
            room -= size(line) + 1
            if room < 0:
                break
            fitting += 1
        if fitting:
            self.add("\n".join([start, *rows[:fitting]]) + "\n")
        if fitting < len(rows):
            self.missing.append(f"{len(rows) - fitting} of {len(rows)} {name}")


def as_markdown(report: Report, *, limit: int = LIMIT) -> str:
    """Return the report.

    Parameters
    ----------
    report
        The state of the project.
    limit
        Length that is not exceeded, in letters and in bytes of UTF-8 as well.
    """
    # what ends it must fit, whatever is left out
    letter = Letter(limit - 700)
    letter.add(_head(report))
    _pipeline(letter, report)
    if report.difference is not None:
        command = f"emdvc diff {report.before.short if report.before else ''} {report.commit.short}"
        letter.add(difference_as_markdown(report.difference, limit=letter.room // 2, command=command), "what changed")
    _tables(letter, report)
    left = [dataset for dataset in report.datasets if not letter.add(_details(report, dataset))]
    if left:
        letter.missing.append(f"the details of {facts.counted(len(left), 'dataset')}")
    return "\n".join([*letter.parts, _end(letter)])


def _head(report: Report) -> str:
    lines = [MARK, f"## {said(text.shortened(report.title))}", ""]
    lines += [f"- {name}: {_sentence(value)}" for name, value in facts.at_a_glance(report)]
    lines += [f"- not readable: {_sentence(problem)}" for problem in report.problems[:5]]
    return "\n".join(lines) + "\n"


def _sentence(words: str) -> str:
    return said(words if len(words) <= 4 * _LONGEST else f"{words[: 4 * _LONGEST]}...")


def _pipeline(letter: Letter, report: Report) -> None:
    raw = [dataset.path for dataset in report.datasets if dataset.kind == "raw"]
    drawn = mermaid(graph_of(report.stages, raw)) if report.stages else ""
    if drawn and size(drawn) < letter.limit // 4:
        letter.add(f"### Pipeline\n\n```mermaid\n{drawn}\n```\n", "the drawing of the pipeline")
    elif report.stages:
        letter.missing.append("the drawing of the pipeline")


def _tables(letter: Letter, report: Report) -> None:
    rows = [
        row([_name(str(one.path)), said(sheet.what(one.sidecar)), *map(_cell, (facts.shape(one), facts.view(one)))])
        for one in report.datasets
    ]
    letter.table("Datasets", ("dataset", "what it is", "shape", "field of view"), rows, 0.4, "datasets")
    rows = [row([_name(cells[0]), *map(_cell, cells[1:])]) for cells in facts.run_rows(report)]
    letter.table("Who ran what", ("result", "step", "by", "versions", "machine"), rows, 0.4, "runs")
    verdicts = [pair for found in report.verified for pair in (found.stages or {}).items()]
    rows = [row([_name(name), said(verdict)]) for name, verdict in verdicts]
    letter.table("Reproduced", ("stage", "computed again"), rows, 0.4, "verified stages")
    values = [(key, text.value(value) if value != {} else "as the step has it") for key, value in report.parameters]
    rows = [row([_name(key), _cell(value)]) for key, value in values]
    letter.table("Parameters", ("parameter", "value"), rows, 0.5, "parameters")


def _details(report: Report, dataset: DatasetState) -> str:
    """Return the picture, the axes and the record of a dataset, closed until somebody opens them."""
    axes = [sheet.axis_row(axis) for axis in sheet.ordered_axes(dataset.sidecar)]
    # what a result inherits stands at its raw data
    own = dataset.own_keys if dataset.sidecar.inherits else None
    rows = sheet.record_rows(dataset.sidecar, dataset.own_keys)
    record = [(key, value) for key, value in rows if own is None or key in own]
    shown = [_picture(report, dataset), f"{'Raw data' if dataset.kind == 'raw' else 'Result'}, {_history(dataset)}."]
    if axes:
        cells = [row([said(cell.removeprefix("= ")) if cell else "" for cell in axis]) for axis in axes]
        shown.append("\n".join([*table(("axis", "samples x step", "field of view", "from, to")), *cells]))
    if record:
        lines = [row([_name(key), _cell(value)]) for key, value in record]
        shown.append("\n".join([*table(("record", "value")), *lines]))
    told = "\n\n".join(part for part in shown if part)
    return f"<details>\n<summary>{tagged(text.shortened(str(dataset.path)))}</summary>\n\n{told}\n\n</details>\n"


def _history(dataset: DatasetState) -> str:
    of = f"{facts.data_size(dataset)}, " if facts.data_size(dataset) else ""
    return of + said(facts.brought(dataset))


def _picture(report: Report, dataset: DatasetState) -> str:
    url = picture_url(report, dataset)
    return f'<img src="{url}" alt="Picture of {entities(str(dataset.path))}" width="420">' if url else ""


def picture_url(report: Report, dataset: DatasetState, environment: Mapping[str, str] | None = None) -> str:
    """Return where a forge shows the committed picture of a dataset; empty outside a forge's CI.

    A comment cannot hold a picture, and elsewhere the commit may not be on the forge yet.
    """
    said_by = os.environ if environment is None else environment
    if dataset.picture is None or dataset.picture in report.pictures:
        return ""
    path = quote(report.project.in_git(dataset.picture))
    if said_by.get("GITHUB_ACTIONS") and said_by.get("GITHUB_REPOSITORY"):
        server = said_by.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{said_by['GITHUB_REPOSITORY']}/raw/{report.commit.oid}/{path}"
    if said_by.get("GITLAB_CI") and said_by.get("CI_PROJECT_URL"):
        return f"{said_by['CI_PROJECT_URL']}/-/raw/{report.commit.oid}/{path}"
    return ""


def _end(letter: Letter) -> str:
    left = "; ".join(letter.missing)
    if not left:
        return "---\n\nNothing was left out."
    return f"---\n\nLeft out, because a comment may not be longer: {left}. All of it: `emdvc report --html FILE`."


def _name(name: str) -> str:
    return code(name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}...{name[-_LONGEST // 2 :]}")


def _cell(value: str) -> str:
    return said(value) if value else ""
