"""The frame of every HTML page: one file that opens offline, on any screen, with any assistive technology.

Style and script are part of the page and nothing is loaded: a content security policy in the page forbids it, and lets
no script run but the page's own. Whatever comes from data is escaped; text that is markup already has the type `Html`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import struct
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib.resources import files

_PNG = b"\x89PNG\r\n\x1a\n"
#: Control characters but line feed and tab, halves of surrogate pairs, overrides of the reading direction.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: Letters of a cell that stays on one line, and of a word that need not be broken.
_SHORT = 20
#: How a badge looks, by its word; any other word is quiet. The word is always written: colour alone says nothing.
_LOOKS = {
    "structure": "structure",
    "added": "structure",
    "removed": "structure",
    "renamed": "structure",
    "values": "values",
    "different": "values",
    "failed": "values",
    "calibration": "calibration",
    "metadata": "metadata",
    "within tolerance": "good",
    "noise-equivalent": "good",
    "bit-identical": "good",
    "reproduced": "good",
    "identical": "quiet",
    "encoding only": "quiet",
}


class Html(str):
    """Text that is markup: it is put into a page as it stands."""

    __slots__ = ()


def escaped(text: object) -> Html:
    """Return text as markup that shows it; what is markup already stays as it is.

    A character that an HTML document may not hold (a control character in a vendor's string), or that turns the reading
    direction of what follows, is shown as U+FFFD.
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(_UNFIT.sub("\ufffd", str(text)), quote=True))


def breakable(text: object) -> Html:
    """Return a path or a key as markup whose lines break behind a slash, an underscore or a dot if they must."""
    return Html(re.sub(r"([/_.])(?=\w)", r"\1<wbr>", escaped(text)))


def joined(*parts: str) -> Html:
    """Return pieces one after another; those that are plain text are escaped."""
    return Html("\n".join(escaped(part) for part in parts if part))


def document(
    title: str,
    body: str,
    *,
    lead: str = "",
    contents: Sequence[tuple[str, str]] = (),
    footer: str = "",
    style: str = "",
    script: str = "",
) -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Text of the title and of the only ``<h1>``; sections in `body` begin at ``<h2>``.
    body
        Markup of the main part, all data in it escaped (:func:`escaped`).
    lead
        One or two sentences below the title: text, or `Html`.
    contents
        Anchor and text of each link of the table of contents; none: no table.
    footer
        Text, or `Html`, at the end.
    style, script
        CSS and JavaScript beyond those of every page; no other script runs.
    """
    css, code = (_source(name) + more for name, more in (("page.css", style), ("page.js", script)))
    allowed = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; "
        "base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<li><a href="#{escaped(anchor)}">{escaped(text)}</a></li>' for anchor, text in contents)
    beside = f'<nav class="contents" aria-label="Contents"><h2>On this page</h2><ul>{links}</ul></nav>' if links else ""
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="generator" content="emdvc">',
        '<link rel="icon" href="data:,">',
        f"<title>{escaped(title)}</title>",
        f"<style>\n{css}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#main">Skip to the content</a>',
        f'<header><div class="frame"><h1>{escaped(title)}</h1>',
        f'<div class="lead">{escaped(lead)}</div>' if lead else "",
        "</div></header>",
        f'<div class="frame{" with-contents" if links else ""}">',
        beside,
        f'<main id="main" tabindex="-1">\n{body}\n</main>',
        "</div>",
        f'<footer><div class="frame">{escaped(footer)}</div></footer>' if footer else "",
        f"<script>{code}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


@lru_cache
def _source(name: str) -> str:
    text = files("emdvc.render").joinpath(name).read_text(encoding="utf-8")
    assert "</" not in text, "a closing tag would end the element that holds it"
    return text


def anchor(text: str) -> str:
    """Return a name for a link's target: the text's letters and digits, and a few digits that keep it unique."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
    return f"{plain[:60]}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:6]}"


def section(heading: str, body: str, *, level: int = 2, name: str = "", beside: str = "") -> Html:
    """Return a part with a heading.

    Parameters
    ----------
    heading
        Text, or `Html`.
    body
        Markup.
    level
        2 for a part of the page, which is drawn as a card; 3 and 4 below it.
    name
        Anchor of the heading.
    beside
        Markup at the right of the heading: a badge.
    """
    place = f' id="{escaped(name)}"' if name else ""
    head = f"<h{level}{place}>{escaped(heading)}</h{level}>"
    if beside:
        head = f'<div class="heading">{head}{escaped(beside)}</div>'
    if level > 2:
        return Html(f"<section>{head}\n{body}</section>")
    return Html(f'<section class="card">{head}\n{body}</section>')


def table(
    rows: Sequence[Sequence[str]], head: Sequence[str], *, caption: str = "", numbers: Collection[int] = ()
) -> Html:
    """Return a table; on a narrow screen each row becomes a short list. The first cell names its row.

    Parameters
    ----------
    rows
        Cells as text, or `Html`.
    head
        Names of the columns.
    caption
        What the table is, where its heading does not say it.
    numbers
        Columns that hold numbers, set flush right.
    """
    looks = ["number" if column in numbers else "" for column in range(len(head))]
    names = "".join(
        f'<th scope="col" role="columnheader"{_class(look)}>{escaped(name)}</th>'
        for name, look in zip(head, looks, strict=True)
    )
    body = []
    for row in rows:
        # the roles stay when a narrow screen changes how the cells are displayed
        cells = [f'<th scope="row" role="rowheader"{_class(_length(row[0]))}>{escaped(row[0])}</th>']
        cells += [
            f'<td role="cell"{_class(look or _length(cell))} data-head="{escaped(name)}">{escaped(cell)}</td>'
            for cell, name, look in zip(row[1:], head[1:], looks[1:], strict=True)
        ]
        body.append(f'<tr role="row">{"".join(cells)}</tr>')
    title = f"<caption>{escaped(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="scroll"><table class="stacks" role="table">{title}<thead role="rowgroup"><tr role="row">{names}'
        f'</tr></thead><tbody role="rowgroup">\n{chr(10).join(body)}\n</tbody></table></div>'
    )


def _class(look: str) -> str:
    return f' class="{look}"' if look else ""


def _length(cell: str) -> str:
    """Return how a cell's lines break: not at all, anywhere since a word is long, or between words."""
    text = re.sub(r"<[^>]*>", "", cell) if isinstance(cell, Html) else cell
    if len(text) <= _SHORT:
        return "short" if text else ""
    return "long" if max(map(len, text.split()), default=0) > _SHORT else ""


def facts(pairs: Sequence[tuple[str, str]]) -> Html:
    """Return names and what they are, as a list of definitions."""
    lines = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in pairs)
    return Html(f'<dl class="facts">{lines}</dl>')


def badge(verdict: object) -> Html:
    """Return a verdict, or a status such as ``added``, as a small coloured word."""
    word = str(verdict)
    return Html(f'<span class="badge {_LOOKS.get(word, "quiet")}">{escaped(word)}</span>')


def disclosure(summary: str, body: str, *, opened: bool = False) -> Html:
    """Return markup that is shown when its summary (text, or `Html`) is chosen."""
    return Html(
        f"<details{' open' if opened else ''}><summary>{escaped(summary)}</summary>"
        f'<div class="inside">{body}</div></details>'
    )


def picture(png: bytes, alt: str) -> Html:
    """Return a PNG as part of the page.

    Parameters
    ----------
    png
        The file.
    alt
        What it shows, in words, for who cannot see it.
    """
    if png[:8] != _PNG:
        raise ValueError("not a PNG file")
    width, height = struct.unpack(">II", png[16:24])
    code = base64.b64encode(png).decode()
    size = f'width="{width}" height="{height}"'
    return Html(f'<img src="data:image/png;base64,{code}" alt="{escaped(alt)}" {size} decoding="async">')


def figure(png: bytes, alt: str, caption: str = "") -> Html:
    """Return a picture on white, as it was drawn, with its caption (text, or `Html`) below."""
    return Html(f'<figure><div class="plate">{picture(png, alt)}</div>{_caption(caption)}</figure>')


def slider(
    before: bytes,
    after: bytes,
    alts: tuple[str, str],
    caption: str = "",
    *,
    names: tuple[str, str] = ("before", "after"),
) -> Html:
    """Return two pictures of one size with a seam between them that moves; without a script, side by side.

    Parameters
    ----------
    before, after
        PNG files: what lies at a place of one lies at the same place of the other.
    alts
        What each shows, in words.
    caption
        Text, or `Html`, below.
    names
        What stands above each.
    """
    sides = "".join(
        f'<div class="side {place}"><span class="name">{escaped(name)}</span>{picture(png, alt)}</div>'
        for place, name, png, alt in zip(("before", "after"), names, (before, after), alts, strict=True)
    )
    # the label holds its range, so that no name of an element is needed; the range works when the script does
    words = "Drag the seam, or use the arrow keys"
    # a page has many: for who hears them one by one
    which = f'<span class="hidden">, between {escaped(names[0])} and {escaped(names[1])}. {escaped(alts[1])}</span>'
    control = (
        f'<label class="control"><span class="words">{escaped(words)}{which}</span>'
        '<input type="range" min="0" max="100" step="1" value="50" disabled></label>'
    )
    return Html(
        f'<figure class="compare"><div class="plate"><div class="stage">{sides}{control}<span class="handle" '
        f'aria-hidden="true"></span></div></div>{_caption(caption)}</figure>'
    )


def _caption(text: str) -> str:
    return f"<figcaption>{escaped(text)}</figcaption>" if text else ""
