"""A difference as one HTML page that opens offline: every dataset with its causes, its figures and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.verdict import Verdict
from emdvc.render import page
from emdvc.render.difference.pictures import DifferencePicture, pictures
from emdvc.render.difference.sections import after_numbers, arrows, before_numbers, numbers_summary
from emdvc.render.difference.text import experiment, gist, head, nothing
from emdvc.render.page import Html

#: Bytes of a page at most.
LARGEST = 10_000_000
#: Part of them that text may take; the pictures share what it leaves.
_FOR_TEXT = 0.6
#: Longest side of images where there is less room, in pixels.
_SMALL = 200
#: Rows of the table of datasets, and links beside the page.
_DATASETS, _LINKS = 5000, 60
_MEANINGS = {
    Verdict.STRUCTURE: "shape, number type, dimensions or the set of arrays differ, or a dataset came or went",
    Verdict.VALUES: "the numbers differ",
    Verdict.CALIBRATION: "the same numbers mean something else: a length, an angle, an energy, a unit",
    Verdict.NOISE_EQUIVALENT: "the counts differ as two exposures of the same thing do",
    Verdict.WITHIN_TOLERANCE: "the numbers differ by less than was asked for",
    Verdict.METADATA: "only what is written about the data differs",
    Verdict.ENCODING: "the same numbers in other bytes",
    Verdict.IDENTICAL: "nothing differs",
}


@dataclass(slots=True)
class _Room:
    """How many bytes are left, for how many datasets, and what was left out for want of them."""

    left: float
    datasets: int
    smaller: int = 0
    missing: list[str] = field(default_factory=list)

    def share(self) -> float:
        """Return what the next dataset may take."""
        return self.left / max(1, self.datasets)

    def take(self, used: float) -> None:
        """Note what a dataset took."""
        self.left -= used
        self.datasets -= 1


def as_html(difference: ProjectDifference, *, largest: int = LARGEST) -> str:
    """Return a difference as one self-contained page.

    Parameters
    ----------
    difference
        What differs.
    largest
        Bytes of the page at most; where all pictures would need more they get smaller, then fewer, and the page ends
        with what was left out.
    """
    after = difference.after or "the workspace"
    title = f"What changed from {difference.before} to {after}"
    if not difference:
        words = nothing(difference)
        return page.document(title, f'<p class="card">{page.escaped(_capital(words))}.</p>')
    overview = _overview(difference, len(difference.datasets))
    texts, missing = _texts(difference.datasets, largest * _FOR_TEXT - len(overview.encode()))
    used = len(overview.encode()) + sum(len(part.encode()) for text in texts for part in text.parts)
    # the frame of the page and the last section need room, too
    drawn = [text for text in texts if text.dataset.values]
    room = _Room(largest - used - 60_000, len(drawn), missing=missing)
    sections = [_section(text, room) for text in texts]
    names = [(page.anchor(str(d.path)), str(d.path)) for d in difference.datasets[: min(_LINKS, len(texts))]]
    links = [("overview", "All datasets"), *names] if len(names) > 1 else []
    return page.document(
        title,
        # what is left out has no link
        page.joined(_overview(difference, len(texts)), *sections, _left_out(room)),
        lead=_lead(difference),
        contents=links,
        footer=_footer(),
    )


def _lead(difference: ProjectDifference) -> Html:
    many, of = len(difference.datasets), difference.compared
    words = f"{many} of {of} dataset{'' if of == 1 else 's'} differ{'s' if many == 1 else ''}. Strongest verdict:"
    named = [Html(f"<p>{page.escaped(experiment(one))}.</p>") for one in difference.experiments]
    return page.joined(Html(f"<p>{page.escaped(words)} {page.badge(difference.verdict)}</p>"), *named)


def _footer() -> str:
    from emdvc import __version__

    return f"Written by emdvc {__version__}. This page is one file: it opens offline and loads nothing."


def _overview(difference: ProjectDifference, shown: int) -> Html:
    """Return the table of the datasets that differ; the first ones have a section, to which a link leads."""
    rows = []
    for place, dataset in enumerate(difference.datasets[:_DATASETS]):
        name, word = head(dataset)
        link = (
            Html(f'<a href="#{page.anchor(str(dataset.path))}">{page.breakable(name)}</a>') if place < shown else name
        )
        rows.append([link, _badge(word, dataset), dataset.kind, _gist(dataset)])
    table = page.table(rows, ["dataset", "verdict", "kind", "what differs"])
    meanings = page.facts([(page.badge(verdict), meaning) for verdict, meaning in _MEANINGS.items()])
    more = len(difference.datasets) - _DATASETS
    rest = f"<p>And {more} more datasets: emdvc diff --json lists all.</p>" if more > 0 else ""
    legend = page.disclosure("What the verdicts mean, the strongest first", meanings)
    return page.section("Datasets that differ", page.joined(table, Html(rest), legend), name="overview")


def _badge(word: str, dataset: DatasetDifference) -> Html:
    """Return the badge of a dataset: what happened to it, and its verdict."""
    return (
        page.joined(*(page.badge(part) for part in word.split(", ")))
        if dataset.status == "renamed"
        else (page.badge(word))
    )


def _gist(dataset: DatasetDifference) -> str:
    return arrows(gist(dataset)) or {"added": "a new dataset", "removed": "no longer there"}.get(dataset.status, "")


@dataclass(frozen=True, slots=True)
class _Text:
    """What is said of a dataset before its numbers, of each array's numbers, and after them."""

    dataset: DatasetDifference
    before: Html
    numbers: tuple[Html, ...]
    after: Html

    @property
    def parts(self) -> tuple[Html, ...]:
        """All of it."""
        return (self.before, *self.numbers, self.after)


def _texts(datasets: Sequence[DatasetDifference], room: float) -> tuple[list[_Text], list[str]]:
    """Return what is said of each dataset, as many as there is room for, and what was left out."""
    texts: list[_Text] = []
    for place, dataset in enumerate(datasets):
        numbers = tuple(numbers_summary(change, dataset) for change in dataset.values)
        text = _Text(dataset, before_numbers(dataset), numbers, after_numbers(dataset))
        room -= sum(len(part.encode()) for part in text.parts) + 600
        if room < 0:
            many = len(datasets) - place
            return texts, [f"everything but the first table for {many} dataset{'' if many == 1 else 's'}"]
        texts.append(text)
    return texts, []


def _section(text: _Text, room: _Room) -> Html:
    """Return the part of the page on one dataset."""
    dataset = text.dataset
    drawn = _drawn(dataset, room) if dataset.values else []
    numbers = []
    for change, summary in zip(dataset.values, text.numbers, strict=True):
        own = [picture for picture in drawn if picture.name.rpartition("-")[0] == change.variable]
        numbers.append(_numbers(change, summary, own, dataset))
    name, word = head(dataset)
    body = page.joined(text.before, *numbers, text.after)
    if not body:
        there = {"added": "This dataset is new.", "removed": "This dataset is no longer there."}
        body = Html(f"<p>{page.escaped(there.get(dataset.status, _gist(dataset)))}</p>")
    return page.section(page.breakable(name), body, name=page.anchor(str(dataset.path)), beside=_badge(word, dataset))


def _drawn(dataset: DatasetDifference, room: _Room) -> list[DifferencePicture]:
    """Return the pictures of a dataset that there is room for: whole, else smaller, else fewer."""
    share = room.share()
    drawn = list(pictures(dataset))
    used = sum(_bytes(picture) for picture in drawn)
    if used > share:
        drawn = list(pictures(dataset, side=_SMALL))
        used = sum(_bytes(picture) for picture in drawn)
        if drawn and used <= share:
            room.smaller += 1
    dropped = []
    while drawn and used > share:
        dropped.append(drawn.pop())
        used -= _bytes(dropped[-1])
    if dropped:
        many = f"{len(dropped)} picture{'' if len(dropped) == 1 else 's'}"
        room.missing.append(f"{many} of {dataset.path}: {', '.join(p.title for p in reversed(dropped))}")
    room.take(used)
    return drawn


def _bytes(picture: DifferencePicture) -> float:
    """Return how many bytes a picture takes on the page: base64 writes three as four."""
    shown = (
        (picture.before, picture.after, picture.difference) if picture.before else (picture.bare or picture.combined,)
    )
    return sum(len(png) for png in shown if png) * 4 / 3 + len(picture.alt) * 3 + 900


def _numbers(
    change: ValueChange, summary: Html, drawn: Sequence[DifferencePicture], dataset: DatasetDifference
) -> Html:
    """Return the figures of one array beside the map of its probe positions, and below them its other pictures."""
    beside = [picture for picture in drawn if picture.name.endswith("-changed")]
    figures = "".join(_figure(picture) for picture in beside)
    top = Html(f'<div class="pictures"><div class="words">{summary}</div>{figures}</div>')
    below = [
        page.section(_capital(picture.title.removeprefix(f"{change.variable}: ")), _figure(picture), level=4)
        for picture in drawn
        if picture not in beside
    ]
    several = len(dataset.values) > 1
    title = f"Numbers of {change.variable}" if several or change.variable not in ("", "data") else "Numbers"
    # said above already where it is the dataset's own
    badge = page.badge(change.verdict) if several or change.verdict is not dataset.verdict else ""
    return page.section(title, page.joined(top, *below), level=3, beside=badge)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _figure(picture: DifferencePicture) -> Html:
    notes = " · ".join(picture.notes)
    if picture.before is None or picture.after is None:
        return page.figure(picture.bare or picture.combined, picture.alt, notes)
    alts = (f"Before: {picture.title}.", f"After: {picture.title}.")
    both = page.slider(picture.before, picture.after, alts, notes)
    if picture.difference is None:
        return Html(f'<div class="pictures">{both}</div>')
    return Html(f'<div class="pictures">{both}{_named(picture.difference, picture.alt)}</div>')


def _named(png: bytes, alt: str) -> Html:
    """Return the signed difference with its name above, in line with the names of the slider."""
    image = page.picture(png, alt)
    return Html(f'<figure><div class="plate"><span class="name">after − before</span>{image}</div></figure>')


def _left_out(room: _Room) -> str:
    told = list(room.missing)
    if room.smaller:
        many = f"{room.smaller} dataset{'' if room.smaller == 1 else 's'}"
        told.insert(0, f"half the size of the images of {many}")
    if not told:
        return ""
    shown = "".join(f"<li>{page.escaped(line)}</li>" for line in told[:100])
    words = "<p>A page holds 10 MB at most, so that it opens everywhere and can be sent. Left out here:</p>"
    hint = "<p>All pictures: emdvc diff --pictures DIR. All keys and figures: emdvc diff --json.</p>"
    return page.section("What was left out", f"{words}<ul>{shown}</ul>{hint}", name="left-out")
