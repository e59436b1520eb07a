"""The state of a project as one HTML page, for people who never open a terminal: it opens offline, at most 10 MB."""

from __future__ import annotations

from collections.abc import Callable

from emdvc.compare.report.state import DatasetState, Report
from emdvc.render import columns as text
from emdvc.render import sheet
from emdvc.render.page import Html, badge, disclosure, document, escaped, joined, section, table
from emdvc.render.page import facts as definitions
from emdvc.render.report import dataset as report_dataset
from emdvc.render.report import facts, pipeline_drawing
from emdvc.render.report.changes import changes, words
from emdvc.render.report.dataset import dataset_section, place
from emdvc.render.report.pipeline_graph import graph_of
from emdvc.render.report.room import ROWS, Room, more

#: Bytes of a page at most, with room for its frame.
LIMIT = 9_500_000
#: Datasets that the table of contents names; of more the overview does.
_LINKED = 25

STYLE = pipeline_drawing.STYLE + report_dataset.STYLE


def as_html(report: Report, *, draw: Callable[[DatasetState], bytes | None] | None = None, limit: int = LIMIT) -> str:
    """Return the page.

    Parameters
    ----------
    report
        The state of the project.
    draw
        Gives the picture of a dataset (PNG); by default those of :func:`picture_of`.
    limit
        Bytes of the page at most.
    """
    draw = draw or (lambda dataset: picture_of(report, dataset))
    fixed = [_glance(report), _pipeline(report), _parameters(report), _runs(report), _verified(report)]
    frame = len(document(report.title, "", style=STYLE).encode())
    room = Room(limit - frame - sum(len(part.encode()) for part in fixed))
    overview = _overview(report)
    if not room.takes(overview):
        overview = Html("")
    changed = changes(report, room)
    datasets = _datasets(report, room, draw)
    glance, pipeline, *rest = fixed
    body = joined(glance, *changed, pipeline, overview, *datasets, *rest, _left_out(room))
    return document(report.title, body, lead=_lead(report), contents=_contents(report), footer=_footer(), style=STYLE)


def picture_of(report: Report, dataset: DatasetState) -> bytes | None:
    """Return the picture of a dataset: the committed one of a result; of raw data one drawn from its bytes, if here."""
    if dataset.kind != "raw":
        return report.picture(dataset)
    from emdvc.render.report.raw_picture import draw_raw

    return draw_raw(report, dataset)


def _lead(report: Report) -> str:
    at = f"at commit {report.called(report.commit)}" + (f" on {report.branch}" if report.branch else "")
    than = f", compared with {report.called(report.before)}" if report.before else ""
    return f"The state of the project {at}, {facts.date(report.commit.date)}{than}."


def _footer() -> str:
    from emdvc import __version__

    return f"Written by emdvc {__version__} from the project's history."


def _contents(report: Report) -> list[tuple[str, str]]:
    links = [("glance", "At a glance")]
    if report.difference is not None:
        links.append(("changed", "What changed"))
    links += [("pipeline", "Pipeline"), ("datasets", "Datasets")]
    if len(report.datasets) <= _LINKED:
        links += [(place(dataset), str(dataset.path)) for dataset in report.datasets]
    return [*links, ("parameters", "Parameters"), ("runs", "Who ran what"), ("verified", "Reproduced")]


def _glance(report: Report) -> Html:
    problems = [f"<li>{escaped(problem)}</li>" for problem in report.problems]
    warned = f'<div class="note"><p>Not readable:</p><ul>{"".join(problems)}</ul></div>' if problems else ""
    return section("At a glance", joined(definitions(facts.at_a_glance(report)), Html(warned)), name="glance")


def _pipeline(report: Report) -> Html:
    raw = [dataset.path for dataset in report.datasets if dataset.kind == "raw"]
    if not report.stages and not raw:
        return section("Pipeline", Html("<p>There is no stage and no dataset yet.</p>"), name="pipeline")
    targets = {str(dataset.path): place(dataset) for dataset in report.datasets}
    return section("Pipeline", pipeline_drawing.section(graph_of(report.stages, raw), targets), name="pipeline")


def _overview(report: Report) -> Html:
    if not report.datasets:
        return section("Datasets", Html("<p>No dataset is recorded at this commit.</p>"), name="datasets")
    rows = []
    for dataset in report.datasets[:ROWS]:
        name = Html(f'<a href="#{place(dataset)}">{escaped(dataset.path)}</a>')
        what = f"{'raw data' if dataset.kind == 'raw' else 'result'}, {sheet.what(dataset.sidecar)}"
        rows.append((name, what, facts.shape(dataset), facts.view(dataset), facts.data_size(dataset)))
    listed = table(rows, ("dataset", "what it is", "shape", "field of view", "on disk"))
    return section("Datasets", joined(listed, more(len(report.datasets) - ROWS)), name="datasets")


def _datasets(report: Report, room: Room, draw: Callable[[DatasetState], bytes | None]) -> list[Html]:
    verdicts = {one.path: words(one) for one in report.difference.datasets} if report.difference else {}
    parts = []
    for dataset in report.datasets:
        verified = facts.stage_verdict(report, dataset)
        beside = joined(badge(verified) if verified else "", verdicts.get(dataset.path, ""))
        png = None if room.full else draw(dataset)
        for shown in (png, None) if png is not None else (None,):
            part = dataset_section(dataset, beside, shown)
            if room.takes(part):
                parts.append(part)
                if png is not None and shown is None:
                    room.pictures += 1
                    room.full = True
                break
        else:
            room.datasets.append(str(dataset.path))
            room.full = True
    return parts


def _parameters(report: Report) -> Html:
    rows = [(key, text.value(value) if value != {} else "as the step has it") for key, value in report.parameters]
    listed = table(rows[:ROWS], ("parameter", "value")) if rows else Html("<p>No stage has parameters.</p>")
    return section("Parameters", joined(listed, more(len(rows) - ROWS)), name="parameters")


def _runs(report: Report) -> Html:
    rows = list(facts.run_rows(report))
    if not rows:
        return section("Who ran what", Html("<p>There are no results.</p>"), name="runs")
    listed = table(rows[:ROWS], ("result", "step", "by", "versions", "machine"))
    return section("Who ran what", joined(listed, more(len(rows) - ROWS)), name="runs")


def _verified(report: Report) -> Html:
    if not report.verified:
        return section("Reproduced", Html(f"<p>{escaped(facts.not_verified())}</p>"), name="verified")
    parts: list[str] = []
    for found in report.verified:
        parts.append(Html(f"<p>{escaped(facts.verification(found))}</p>"))
        rows = [(name, badge(verdict)) for name, verdict in (found.stages or {}).items()]
        if rows:
            parts.append(table(rows[:ROWS], ("stage", "computed again")))
    return section("Reproduced", joined(*parts), name="verified")


def _left_out(room: Room) -> Html:
    told = room.said()
    if not told:
        return Html("")
    names = [f"<li>{escaped(name)}</li>" for name in (*room.changes, *room.datasets)[:ROWS]]
    listed = disclosure("Which", f"<ul>{''.join(names)}</ul>") if names else Html("")
    return section("Left out", joined(Html(f"<p>{escaped(told)}</p>"), listed))
