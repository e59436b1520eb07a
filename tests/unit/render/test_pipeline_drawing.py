"""The drawing of a pipeline: everything leads to the right, nothing lies on anything, names are only text."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePosixPath
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.history.pipeline_at import StageAt
from emdvc.render.report import pipeline_drawing
from emdvc.render.report.pipeline_graph import MOST, Graph, NodeKind, _apart, graph_of, placed

P = PurePosixPath


def stage(name: str, deps: list[str], outs: list[str], *, ran: bool = True) -> StageAt:
    return StageAt(name, "virtual_image", "", tuple(map(P, deps)), tuple(map(P, outs)), ran=ran)


SMALL = [
    stage("sum", ["raw/a.mib"], ["results/sum.zarr"]),
    stage("image", ["raw/a.mib", "scripts/fit.py"], ["results/image.zarr"]),
    stage("both", ["results/sum.zarr", "raw/a.mib"], ["results/both.zarr"], ran=False),
]


def test_nodes_and_edges_are_those_of_the_stages() -> None:
    graph = graph_of(SMALL, [P("raw/a.mib"), P("raw/unused.mib")])
    kinds = {node.name: node.kind for node in graph.nodes}
    assert kinds == {
        "raw/a.mib": NodeKind.RAW,
        "raw/unused.mib": NodeKind.RAW,
        "sum": NodeKind.STAGE,
        "results/sum.zarr": NodeKind.RESULT,
        "image": NodeKind.STAGE,
        "scripts/fit.py": NodeKind.FILE,
        "results/image.zarr": NodeKind.RESULT,
        "both": NodeKind.STAGE,
        "results/both.zarr": NodeKind.RESULT,
    }
    named = {(graph.nodes[a].name, graph.nodes[b].name) for a, b in graph.edges}
    assert named == {
        ("raw/a.mib", "sum"),
        ("sum", "results/sum.zarr"),
        ("raw/a.mib", "image"),
        ("scripts/fit.py", "image"),
        ("image", "results/image.zarr"),
        ("results/sum.zarr", "both"),
        ("raw/a.mib", "both"),
        ("both", "results/both.zarr"),
    }


def test_a_late_stage_stands_right_of_what_it_reads() -> None:
    graph = graph_of(SMALL, [P("raw/a.mib")])
    layer = {node.name: place[0] for node, place in zip(graph.nodes, placed(graph).places, strict=True)}
    assert layer["raw/a.mib"] == 0 and layer["sum"] == 1 and layer["results/sum.zarr"] == 2
    assert layer["both"] == 3 and layer["results/both.zarr"] == 4


@st.composite
def pipelines(draw: st.DrawFn) -> list[StageAt]:
    count = draw(st.integers(1, 9))
    known = ["raw/a", "raw/b"]
    stages = []
    for number in range(count):
        deps = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        outs = [f"results/{number}-{index}" for index in range(draw(st.integers(1, 2)))]
        stages.append(stage(f"s{number}", deps, outs))
        known += outs
    return stages


@settings(deadline=None, max_examples=60)
@given(pipelines())
def test_every_way_leads_right_and_nothing_lies_on_anything(stages: list[StageAt]) -> None:
    drawn = placed(graph_of(stages, [P("raw/a"), P("raw/b")]))
    for (a, b), route in zip(drawn.graph.edges, drawn.routes, strict=True):
        assert route[0] == drawn.places[a] and route[-1] == drawn.places[b]
        assert [layer for layer, _ in route] == list(range(route[0][0], route[-1][0] + 1))
        assert len(route) > 1
    for (layer, row), (other_layer, other_row) in itertools.combinations(drawn.places, 2):
        assert layer != other_layer or abs(row - other_row) >= 1 - 1e-9
    # a way does not pass through a node either
    for route in drawn.routes:
        for layer, row in route[1:-1]:
            assert all(other != layer or abs(row - at) >= 1 - 1e-9 for other, at in drawn.places)
    assert all(0 <= row <= drawn.rows - 1 + 1e-9 for _, row in drawn.places)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=4))
def test_places_keep_their_distance_with_the_shortest_ways(wanted: list[float]) -> None:
    found = _apart(wanted)
    assert all(b - a >= 1 - 1e-6 for a, b in itertools.pairwise(found))
    cost = sum((a - b) ** 2 for a, b in zip(found, wanted, strict=True))
    # no shift of a run of neighbours that keeps the distances is better
    for start, stop in itertools.combinations(range(len(found) + 1), 2):
        for step in (-1e-3, 1e-3):
            moved = [place + step if start <= index < stop else place for index, place in enumerate(found)]
            if all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(moved)):
                assert sum((a - b) ** 2 for a, b in zip(moved, wanted, strict=True)) >= cost - 1e-6


def test_the_drawing_is_well_formed_and_names_are_text() -> None:
    nasty = '"><script>alert(1)</script>&'
    graph = graph_of([stage(nasty, [f"raw/{nasty}"], [f"results/{nasty}.zarr"])], [P(f"raw/{nasty}")])
    svg = pipeline_drawing.drawing(placed(graph), {f"raw/{nasty}": "place"})
    tree = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert [node.tag for node in tree.iter() if "script" in node.tag] == []
    titles = [title.text or "" for title in tree.iter(f"{space}title")]
    assert any(nasty in title for title in titles[1:])
    assert tree.find(f"{space}title") is not None and tree.find(f"{space}desc") is not None
    assert len(tree.findall(f"{space}path[@class='way']")) == len(graph.edges)
    boxes = list(tree.iter(f"{space}rect"))
    assert len(boxes) == len(graph.nodes)
    _within(tree)


def test_a_long_chain_goes_downwards_and_a_broad_one_to_the_right() -> None:
    chain = [stage(f"s{n}", [f"results/{n}"], [f"results/{n + 1}"]) for n in range(8)]
    broad = [stage(f"s{n}", ["raw/a"], [f"results/{n}"]) for n in range(8)]
    for stages, down in ((chain, True), (broad, False)):
        tree = ElementTree.fromstring(pipeline_drawing.drawing(placed(graph_of(stages, []))))
        assert (float(tree.attrib["height"]) > 2 * float(tree.attrib["width"])) == down
        _within(tree)


def _within(tree: ElementTree.Element) -> None:
    """Fail where a box is not wholly on the drawing, or a way begins or ends elsewhere than at a box."""
    space = "{http://www.w3.org/2000/svg}"
    boxes = list(tree.iter(f"{space}rect"))
    edges = set()
    width, height = (float(tree.attrib[name]) for name in ("width", "height"))
    for box in boxes:
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert min(x, y) >= 0 and x + w <= width and y + h <= height
        edges |= {(x, y + h / 2), (x + w, y + h / 2), (x + w / 2, y), (x + w / 2, y + h)}
    for way in tree.findall(f"{space}path[@class='way']"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", way.attrib["d"])]
        assert (numbers[0], numbers[1]) in edges and (numbers[-2], numbers[-1]) in edges


def test_the_list_says_the_same_as_the_drawing() -> None:
    graph = graph_of(SMALL, [P("raw/a.mib"), P("raw/unused.mib")])
    listed = pipeline_drawing.nested_list(graph, {"raw/a.mib": "there"})
    tree = ElementTree.fromstring(listed)
    said = "".join(tree.itertext())
    for node in graph.nodes:
        assert node.name in said
    assert "raw data that no stage readsraw/unused.mib" in said
    assert "not run" in said
    assert tree.findall(".//a[@href='#there']")


def test_mermaid_takes_any_name() -> None:
    graph = graph_of([stage('a"b]', ["raw/x#y;.mib"], ["results/<i>.zarr"])], [])
    text = pipeline_drawing.mermaid(graph)
    assert text.splitlines()[0] == "flowchart LR"
    # within the quotes nothing that means something to Mermaid is left but its own codes and the line break
    for label in re.findall(r'"(.*?)"[\])]', text):
        assert re.fullmatch(r"(?:[\w ./,:()+=-]|#\d+;|<br>)*", label), label
    assert text.count("-->") == len(graph.edges)


def test_very_many_stages_of_one_template_are_one_node() -> None:
    stages = [stage(f"scan@{n}", ["raw/a", f"raw/{n}"], [f"results/{n}"]) for n in range(60)]
    graph = graph_of(stages, [])
    assert [node.label for node in graph.nodes if node.kind is NodeKind.STAGE] == ["scan (60 stages)"]
    assert [node.name for node in graph.nodes if node.kind is NodeKind.FILE] == ["raw/a"]


def test_what_is_too_much_to_draw_is_listed() -> None:
    stages = [stage(f"s{n}", ["raw/a"], [f"results/{n}"]) for n in range(MOST)]
    graph = graph_of(stages, [P("raw/a")])
    assert pipeline_drawing.mermaid(graph) == ""
    html = pipeline_drawing.section(graph, {})
    assert "<svg" not in html and "too many" in html and f"results/{MOST - 1}" in html


def test_an_empty_pipeline_is_drawn_too() -> None:
    assert placed(Graph((), ())).layers == 0
    ElementTree.fromstring(pipeline_drawing.drawing(placed(graph_of([], [P("raw/a")]))))


def test_a_long_name_keeps_both_ends() -> None:
    assert pipeline_drawing.fitted("short", 22) == "short"
    shown = pipeline_drawing.fitted("a-very-long-name-of-a-scan-0042.mib", 22)
    assert len(shown) == 22 and shown.startswith("a-very-lon") and shown.endswith("0042.mib")
