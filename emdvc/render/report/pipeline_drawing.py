"""A pipeline for people: on a page a drawing (SVG) that scrolls in its box, and a list; for a forge, Mermaid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from emdvc.render.page import Html, disclosure, escaped
from emdvc.render.report.pipeline_graph import MOST, Graph, Node, NodeKind, Placed, placed

_WIDTH, _HEIGHT = 176, 48
#: From one layer to the next and from one row to the next: where layers follow one another to the right, and downwards.
_RIGHT, _DOWN = (232, 64), (96, 200)
#: Width of a page's column: what is wider in layers to the right is drawn downwards, if that is narrower.
_COLUMN = 940
_EDGE = 8
#: Letters that fit into a node, of the label and of what stands below it.
_LABEL, _BELOW = 19, 26

STYLE = """
.pipeline { overflow-x: auto; margin: .6rem 0; padding: .2rem; }
.pipeline svg { display: block; font-family: var(--text, sans-serif); }
.pipeline .box { fill: var(--paper, #fff); stroke: var(--soft, #525d6c); stroke-width: 1.2; }
.pipeline .raw .box { fill: var(--metadata-wash, #e6f0fa); stroke: var(--metadata, #0a58a6); }
.pipeline .result .box { fill: var(--good-wash, #e4f3ea); stroke: var(--good, #1c6644); }
.pipeline .waiting .box { stroke-dasharray: 5 4; }
.pipeline .way { fill: none; stroke: var(--soft, #525d6c); stroke-width: 1.3; }
.pipeline .point { fill: var(--soft, #525d6c); }
.pipeline text { fill: var(--ink, #18202c); font-size: 13px; font-weight: 600; }
.pipeline text.below { fill: var(--soft, #525d6c); font-size: 11px; font-weight: 400; }
.pipeline a:hover .box { stroke-width: 2.4; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .875rem; color: var(--soft); margin: .4rem 0; }
.legend span::before { content: ""; display: inline-block; width: 1.3em; height: .85em; margin-right: .45em;
  border: 1.2px solid var(--soft); vertical-align: -.05em; background: var(--paper); }
.legend .raw::before { background: var(--metadata-wash); border-color: var(--metadata); border-radius: .4em; }
.legend .stage::before { border-radius: .8em; }
.legend .result::before { background: var(--good-wash); border-color: var(--good); }
"""


def section(graph: Graph, targets: Mapping[str, str]) -> Html:
    """Return the drawing, its legend, and the list for who cannot see it.

    Parameters
    ----------
    graph
        The pipeline.
    targets
        Path of a dataset -> anchor of its part of the page.
    """
    listed = disclosure("The pipeline as a list", nested_list(graph, targets), opened=len(graph.nodes) > MOST)
    if len(graph.nodes) > MOST:
        many = sum(node.kind is NodeKind.STAGE for node in graph.nodes)
        return Html(f"<p>{many} stages are too many to be drawn.</p>\n{listed}")
    legend = "".join(
        f'<span class="{name}">{text}</span>'
        for name, text in (("raw", "raw data"), ("stage", "stage"), ("result", "result"))
    )
    return Html(
        '<div class="pipeline" role="region" aria-label="Drawing of the pipeline" tabindex="0">'
        f'{drawing(placed(graph), targets)}</div>\n<div class="legend" aria-hidden="true">{legend}</div>\n{listed}'
    )


def drawing(graph: Placed, targets: Mapping[str, str] | None = None) -> Html:
    """Return the graph as SVG; what leads on a page is linked."""
    nodes = graph.graph.nodes
    frame = _frame(graph)
    stages = sum(node.kind is NodeKind.STAGE for node in nodes)
    told = (
        f"{stages} stage{'' if stages == 1 else 's'} between {len(nodes) - stages} files. The list below says the same."
    )
    width, height = frame.width, frame.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="group" aria-labelledby="pipeline-title" aria-describedby="pipeline-text">',
        '<title id="pipeline-title">The pipeline, from raw data to results</title>',
        f'<desc id="pipeline-text">{told}</desc>',
        '<defs><marker id="pipeline-point" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="point" d="M0 0.6 L8 4 L0 7.4 Z"/></marker></defs>',
        *(frame.way(route) for route in graph.routes),
        *(
            _node(node, frame.corner(place), (targets or {}).get(node.name))
            for node, place in zip(nodes, graph.places, strict=True)
        ),
        "</svg>",
    ]
    return Html("\n".join(parts))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where layers and rows lie: layers follow one another to the right, or downwards."""

    layers: int
    rows: float
    down: bool = False

    @property
    def width(self) -> int:
        return self._extent(self.rows, _DOWN[1], _WIDTH) if self.down else self._extent(self.layers, _RIGHT[0], _WIDTH)

    @property
    def height(self) -> int:
        return (
            self._extent(self.layers, _DOWN[0], _HEIGHT) if self.down else self._extent(self.rows, _RIGHT[1], _HEIGHT)
        )

    @staticmethod
    def _extent(count: float, step: int, size: int) -> int:
        return round(2 * _EDGE + max(0.0, count - 1) * step + size)

    def corner(self, place: tuple[int, float]) -> tuple[float, float]:
        layer, row = place
        if self.down:
            return _EDGE + row * _DOWN[1], _EDGE + layer * _DOWN[0]
        return _EDGE + layer * _RIGHT[0], _EDGE + row * _RIGHT[1]

    def way(self, route: tuple[tuple[int, float], ...]) -> str:
        """Return an edge as a smooth curve through the gaps between layers, straight where it passes one."""
        corners = [self.corner(place) for place in route]
        # along the layers and across them, whichever way they go
        long, wide = (_HEIGHT, _WIDTH) if self.down else (_WIDTH, _HEIGHT)
        points = [(y, x + wide / 2) if self.down else (x, y + wide / 2) for x, y in corners]
        at, level = points[0][0] + long, points[0][1]
        steps = [f"M{self._point(at, level)}"]
        for number, (start, next_level) in enumerate(points[1:], 2):
            middle = (at + start) / 2
            bends = (self._point(middle, level), self._point(middle, next_level), self._point(start, next_level))
            steps.append(f"C{' '.join(bends)}")
            at, level = start, next_level
            if number < len(points):
                at = start + long
                steps.append(f"L{self._point(at, level)}")
        return f'<path class="way" d="{" ".join(steps)}" marker-end="url(#pipeline-point)"/>'

    def _point(self, along: float, across: float) -> str:
        return f"{across:.1f} {along:.1f}" if self.down else f"{along:.1f} {across:.1f}"


def _frame(graph: Placed) -> _Frame:
    right, down = (_Frame(graph.layers, graph.rows, down) for down in (False, True))
    return down if right.width > max(_COLUMN, down.width) else right


def _node(node: Node, corner: tuple[float, float], target: str | None) -> str:
    x, y = corner
    radius = {NodeKind.RAW: 10, NodeKind.STAGE: _HEIGHT // 2}.get(node.kind, 2)
    looks = {NodeKind.RAW: "raw", NodeKind.STAGE: "stage", NodeKind.RESULT: "result", NodeKind.FILE: "file"}[node.kind]
    middle = x + _WIDTH / 2
    base = y + (21 if node.below else 29)
    whole = f"{node.kind} {node.name}" + (f" ({node.below})" if node.kind is NodeKind.STAGE else "")
    text = f'<text x="{middle:.0f}" y="{base:.1f}" text-anchor="middle">{escaped(fitted(node.label, _LABEL))}</text>'
    if node.below:
        below = escaped(fitted(node.below, _BELOW))
        text += f'<text class="below" x="{middle:.0f}" y="{y + 37:.1f}" text-anchor="middle">{below}</text>'
    drawn = (
        f'<g class="{looks}{"" if node.ran else " waiting"}"><title>{escaped(whole)}</title>'
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="{radius}"/>{text}</g>'
    )
    return f'<a href="#{escaped(target)}">{drawn}</a>' if target else drawn


def fitted(text: str, most: int) -> str:
    """Return a text of at most so many letters: its beginning and its end, which tell files apart."""
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - end - 1]}…{text[-end:]}"


def nested_list(graph: Graph, targets: Mapping[str, str]) -> Html:
    """Return the graph as a list: of each stage what it reads and what it writes."""
    reads: dict[int, list[Node]] = {}
    writes: dict[int, list[Node]] = {}
    for a, b in graph.edges:
        if graph.nodes[b].kind is NodeKind.STAGE:
            reads.setdefault(b, []).append(graph.nodes[a])
        else:
            writes.setdefault(a, []).append(graph.nodes[b])
    lines = []
    for index, node in enumerate(graph.nodes):
        if node.kind is not NodeKind.STAGE:
            continue
        inner = "".join(
            f"<li>{word}<ul>{''.join(f'<li>{_named(one, targets)}</li>' for one in found)}</ul></li>"
            for word, found in (("reads", reads.get(index, [])), ("writes", writes.get(index, [])))
            if found
        )
        lines.append(f"<li><strong>{escaped(node.name)}</strong> ({escaped(node.below)})<ul>{inner}</ul></li>")
    touched = {index for edge in graph.edges for index in edge}
    alone = [node for index, node in enumerate(graph.nodes) if index not in touched and node.kind is NodeKind.RAW]
    if alone:
        named = "".join(f"<li>{_named(node, targets)}</li>" for node in alone)
        lines.append(f"<li>raw data that no stage reads<ul>{named}</ul></li>")
    return Html(f"<ul>{''.join(lines)}</ul>")


def _named(node: Node, targets: Mapping[str, str]) -> str:
    target = targets.get(node.name)
    name = escaped(node.name)
    return f'<a href="#{escaped(target)}">{name}</a>' if target else name


def mermaid(graph: Graph) -> str:
    """Return the graph in Mermaid's language, which GitHub, GitLab and others draw; empty where it is too large."""
    if len(graph.nodes) > MOST:
        return ""
    lines = ["flowchart LR"]
    for index, node in enumerate(graph.nodes):
        text = _quoted(node.label) + (f"<br>{_quoted(node.below)}" if node.below else "")
        left, right = {NodeKind.RAW: ("[(", ")]"), NodeKind.STAGE: ("([", "])")}.get(node.kind, ("[", "]"))
        lines.append(f'  n{index}{left}"{text}"{right}')
    lines += [f"  n{a} --> n{b}" for a, b in graph.edges]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a text as it stands within quotes in Mermaid: anything that means something there by its number."""
    return re.sub(r"[^\w ./,:()+=-]", lambda found: f"#{ord(found[0])};", text)
