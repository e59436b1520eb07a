"""How a result is arranged for its picture: peaks as a map of the detector, components as maps of the scan."""

from __future__ import annotations

import numpy as np

from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis, Role
from emdvc.render.arranged import with_component_maps, with_peak_maps
from emdvc.render.picture import draw


def peaks(*extra: ResultVariable) -> Result:
    """Return three peaks, two of them on one pixel, on a detector of 4 x 5 px."""
    columns = {"peak_ky": [1.2, 0.9, 3.6], "peak_kx": [2.4, 1.6, 4.4], "intensity": [5.0, 6.0, 7.0]}
    variables = [ResultVariable(name, ("peak",), np.array(values), "px") for name, values in columns.items()]
    axes = {"ky": Axis("ky", 4, Role.DETECTOR), "kx": Axis("kx", 5, Role.DETECTOR), "peak": Axis("peak", 3, Role.STACK)}
    return Result((*extra, *variables), axes)


def test_the_map_counts_peaks_on_the_pixel_that_they_lie_on() -> None:
    """A place is nearest to the middle of its pixel; what rounds past the edge belongs to the last pixel."""
    (shown,) = with_peak_maps(peaks()).variables
    expected = np.zeros((4, 5), int)
    expected[1, 2], expected[3, 4] = 2, 1
    assert (shown.values == expected).all()
    assert shown.title == "3 peaks on the detector"


def test_a_map_that_is_there_is_not_made_again() -> None:
    """The step's own map is shown, and the list is left out."""
    own = ResultVariable("bragg_map", ("ky", "kx"), np.ones((4, 5)), "counts")
    assert [variable.name for variable in with_peak_maps(peaks(own)).variables] == ["bragg_map"]


def test_other_results_stay() -> None:
    """A result without such a list is drawn as it is."""
    result = Result((ResultVariable("k", ("k",), np.arange(3.0), "px"),), {"k": Axis("k", 3, Role.DETECTOR)})
    assert with_peak_maps(result) is result
    assert draw(peaks()).startswith(b"\x89PNG")


def test_components_are_maps_of_their_own() -> None:
    """Three numbers per probe position, of different things, are three maps; a profile stays a curve."""
    axes = {
        "y": Axis("y", 2, Role.SCAN),
        "x": Axis("x", 4, Role.SCAN),
        "component": Axis("component", 3, Role.STACK),
        "k": Axis("k", 3, Role.DETECTOR),
    }
    values = np.arange(24.0).reshape(2, 4, 3)
    scores = ResultVariable("scores", ("y", "x", "component"), values, title="scores")
    profile = ResultVariable("profile", ("y", "x", "k"), values)
    shown = with_component_maps(Result((scores, profile), axes)).variables
    assert [one.title for one in shown] == [*(f"scores, component {n}" for n in (1, 2, 3)), ""]
    assert (np.asarray(shown[1].values) == values[..., 1]).all()
    assert shown[3] is profile
