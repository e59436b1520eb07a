"""What changed, as parts of a report's page: an overview, then each dataset with causes, keys, figures and pictures."""

from __future__ import annotations

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.report.state import Report
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.pictures import each
from emdvc.render.difference.sections import after_numbers, before_numbers, numbers_summary
from emdvc.render.difference.text import gist, head
from emdvc.render.page import Html, anchor, badge, escaped, figure, joined, section, table
from emdvc.render.report import facts
from emdvc.render.report.room import ROWS, Room, more

#: Causes of a change that its row names.
_CAUSES = 3


def changes(report: Report, room: Room) -> list[Html]:
    """Return the overview of what changed, and a part for each dataset that did, as long as there is room."""
    difference = report.difference
    if difference is None or report.before is None:
        return []
    if not difference:
        many = facts.counted(difference.compared, "dataset")
        told = f"<p>Nothing: {many} compared with {escaped(report.before.short)}, and no difference found.</p>"
        return [section("What changed", Html(told), name="changed")]
    rows = []
    for one in difference.datasets[:ROWS]:
        name = Html(f'<a href="#{anchor(str(one.path))}">{escaped(head(one)[0])}</a>')
        rows.append((name, words(one), gist(one), _why(one)))
    listed = table(rows, ("dataset", "verdict", "what differs", "because of"))
    overview = section("What changed", joined(listed, more(len(difference.datasets) - ROWS)), name="changed")
    parts = [overview] if room.takes(overview) else []
    for one in difference.datasets:
        drawn = _pictures(one, room) if not room.full else Html("")
        for part in (_part(one, drawn), _part(one, Html(""))):
            if room.takes(part):
                parts.append(part)
                break
        else:
            room.changes.append(str(one.path))
    return parts


def words(difference: DatasetDifference) -> Html:
    """Return what happened to a dataset, and its verdict, as badges."""
    return Html(" ".join(badge(word) for word in head(difference)[1].split(", ")))


def _why(difference: DatasetDifference) -> str:
    told = [cause_line(cause) for cause in difference.causes[:_CAUSES]]
    rest = len(difference.causes) - len(told)
    return "; ".join([*dict.fromkeys(told), *([f"{rest} more"] if rest > 0 else [])]).replace(" -> ", " → ")


def _part(difference: DatasetDifference, drawn: Html) -> Html:
    several = len(difference.values) > 1
    numbers = [
        section(f"Numbers of {change.variable}", numbers_summary(change, difference), level=3)
        if several
        else numbers_summary(change, difference)
        for change in difference.values
    ]
    body = joined(before_numbers(difference), *numbers, drawn, after_numbers(difference))
    name = head(difference)[0]
    return section(
        f"What changed in {name}",
        body or Html(f"<p>{escaped(gist(difference) or head(difference)[1])}</p>"),
        name=anchor(str(difference.path)),
        beside=words(difference),
    )


def _pictures(difference: DatasetDifference, room: Room) -> Html:
    """Return before, after and difference of what was compared, those that fit."""
    shown = []
    size = 0
    for picture in each(difference, side=0) if difference.values else ():
        part = figure(picture.combined, picture.alt)  # its title and notes are in it
        size += len(part)
        if size > room.left:
            room.pictures += 1
            room.full = True
            break
        shown.append(part)
    return Html(f'<div class="pictures">{"".join(shown)}</div>' if shown else "")
