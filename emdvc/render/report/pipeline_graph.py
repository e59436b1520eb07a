"""The graph of a pipeline, raw data to results, and where each of its nodes is drawn: in layers, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import PurePosixPath

from emdvc.history.pipeline_at import StageAt

#: Stages of a template are drawn one by one up to this number of stages.
_SINGLY = 40
#: Nodes that a drawing holds at most.
MOST = 160
_SWEEPS = 6
#: Sweeps that move nodes towards what they are connected with, and the part of a row that places are rounded to.
_MOVES, _GRID = 24, 0.25


class NodeKind(StrEnum):
    """What a node stands for."""

    RAW = "raw data"
    FILE = "file"
    STAGE = "stage"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Node:
    """A dataset, a file or a stage.

    Parameters
    ----------
    name
        Path of data, name of a stage: unique together with its kind.
    kind
        What it is.
    label, below
        What is written in it, and smaller below that.
    ran
        Of a stage and of what it writes: whether it was ever run.
    """

    name: str
    kind: NodeKind
    label: str
    below: str = ""
    ran: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes, and which leads to which, as indices."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A graph with places.

    Parameters
    ----------
    graph
        The graph.
    places
        Of each node: number of its layer, and where in it, in rows.
    routes
        Of each edge: its places in the layers that it passes, both ends included.
    """

    graph: Graph
    places: tuple[tuple[int, float], ...]
    routes: tuple[tuple[tuple[int, float], ...], ...]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return 1 + max((layer for layer, _ in self.places), default=-1)

    @property
    def rows(self) -> float:
        """Rows from the first to the last."""
        return 1 + max((row for route in (self.places, *self.routes) for _, row in route), default=-1)


def graph_of(stages: Sequence[StageAt], raw: Sequence[PurePosixPath]) -> Graph:
    """Return the graph of a pipeline.

    Parameters
    ----------
    stages
        The stages; those of one template are one node where there are very many.
    raw
        Raw datasets, also those that no stage reads.
    """
    stages = _grouped(stages) if len(stages) > _SINGLY else stages
    written = {out for stage in stages for out in stage.outs}
    nodes: dict[tuple[str, bool], Node] = {}
    for path in raw:
        nodes[str(path), False] = _data(path, NodeKind.RAW)
    edges: dict[tuple[tuple[str, bool], tuple[str, bool]], None] = {}
    for stage in stages:
        version = f" v{stage.version}" if stage.version is not None else ""
        below = f"{stage.step}{version}" if stage.step else "command"
        here = (stage.name, True)
        nodes[here] = Node(
            stage.name, NodeKind.STAGE, stage.name, below if stage.ran else f"{below}: not run", stage.ran
        )
        for path in stage.deps:
            kind = NodeKind.RESULT if path in written else NodeKind.FILE
            nodes.setdefault((str(path), False), _data(path, kind))
            edges[(str(path), False), here] = None
        for path in stage.outs:
            nodes[str(path), False] = replace(_data(path, NodeKind.RESULT), ran=stage.ran)
            edges[here, (str(path), False)] = None
    number = {key: index for index, key in enumerate(nodes)}
    return Graph(tuple(nodes.values()), tuple((number[a], number[b]) for a, b in edges))


def placed(graph: Graph) -> Placed:
    """Return where to draw each node: left of everything that it leads to, with few crossings and short ways."""
    layer_of = _layers(graph)
    # an edge over several layers passes an invisible node in each, so that it is drawn around the others
    chains, layers = _chains(graph, layer_of)
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            after.setdefault(a, []).append(b)
            before.setdefault(b, []).append(a)
    for sweep in range(_SWEEPS):
        _order(layers if sweep % 2 == 0 else layers[::-1], before if sweep % 2 == 0 else after)
    rows = _rows(layers, before, after)
    where = {node: (index, rows[node]) for index, layer in enumerate(layers) for node in layer}
    return Placed(
        graph,
        tuple(where[index] for index in range(len(graph.nodes))),
        tuple(tuple(where[node] for node in chain) for chain in chains),
    )


def _data(path: PurePosixPath, kind: NodeKind) -> Node:
    folder = "" if path.parent == PurePosixPath() else f"{path.parent}/"
    return Node(str(path), kind, path.name, folder)


def _grouped(stages: Sequence[StageAt]) -> list[StageAt]:
    groups: dict[str, list[StageAt]] = {}
    for stage in stages:
        groups.setdefault(stage.name.partition("@")[0], []).append(stage)
    found = []
    for name, members in groups.items():
        first = members[0]
        if len(members) == 1:
            found.append(first)
            continue
        deps = dict.fromkeys(path for stage in members for path in stage.deps)
        outs = dict.fromkeys(path for stage in members for path in stage.outs)
        shared = [path for path in deps if all(path in stage.deps for stage in members)]
        found.append(
            replace(
                first,
                name=f"{name} ({len(members)} stages)",
                deps=tuple(shared or deps),
                outs=tuple(outs),
                ran=all(stage.ran for stage in members),
            )
        )
    return found


def _layers(graph: Graph) -> list[int]:
    """Return the layer of each node: one more than that of the last that leads to it."""
    following: list[list[int]] = [[] for _ in graph.nodes]
    waiting = [0] * len(graph.nodes)
    for a, b in graph.edges:
        following[a].append(b)
        waiting[b] += 1
    layer = [0] * len(graph.nodes)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    while ready:
        node = ready.pop()
        for other in following[node]:
            layer[other] = max(layer[other], layer[node] + 1)
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    # a file that only a late stage reads stands right before it
    for node, outgoing in enumerate(following):
        if graph.nodes[node].kind is NodeKind.FILE and outgoing:
            layer[node] = max(0, min(layer[other] for other in outgoing) - 1)
    return layer


def _chains(graph: Graph, layer_of: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    layers: list[list[int]] = [[] for _ in range(1 + max(layer_of, default=-1))]
    for node, layer in enumerate(layer_of):
        layers[layer].append(node)
    chains = []
    extra = len(graph.nodes)
    for a, b in graph.edges:
        chain = [a]
        for layer in range(layer_of[a] + 1, layer_of[b]):
            layers[layer].append(extra)
            chain.append(extra)
            extra += 1
        chains.append([*chain, b])
    return chains, layers


def _order(layers: list[list[int]], neighbours: dict[int, list[int]]) -> None:
    """Sort each layer by the mean place of what its nodes are connected with in the layer before."""
    place: dict[int, float] = {}
    for layer in layers:
        middles = {}
        for index, node in enumerate(layer):
            beside = [place[other] for other in neighbours.get(node, ()) if other in place]
            middles[node] = sum(beside) / len(beside) if beside else float(index)
        layer.sort(key=middles.__getitem__)
        place |= {node: float(index) for index, node in enumerate(layer)}


def _rows(layers: list[list[int]], before: dict[int, list[int]], after: dict[int, list[int]]) -> dict[int, float]:
    """Return how far down each node lies: near the mean of what it is connected with, a row from its neighbours."""
    rows = {node: float(index) for layer in layers for index, node in enumerate(layer)}
    for sweep in range(_MOVES):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = []
            for node in layer:
                beside = [rows[other] for other in (*before.get(node, ()), *after.get(node, ()))]
                wanted.append(sum(beside) / len(beside) if beside else rows[node])
            rows |= dict(zip(layer, _apart(wanted), strict=True))
    # what is nearly in line is set in line; nodes a row apart stay so, for both are rounded alike
    rows = {node: round(row / _GRID) * _GRID for node, row in rows.items()}
    top = min(rows.values(), default=0.0)
    return {node: row - top for node, row in rows.items()}


def _apart(wanted: list[float]) -> list[float]:
    """Return places in the given order, at least 1 apart, with the least squares of the ways from the wanted ones.

    Pooling of neighbours (Ayer et al., Ann. Math. Stat. 26, 641 (1955)) on the places less their least distances.
    """
    blocks: list[tuple[float, int]] = []
    for index, value in enumerate(wanted):
        blocks.append((value - index, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [value + index for index, value in enumerate(flat)]
