from __future__ import annotations

import numpy as np
import pytest

from emdvc.render import terminal
from emdvc.render.terminal import Colours


@pytest.mark.parametrize(
    ("environment", "encoding", "expected"),
    [
        ({"COLORTERM": "truecolor"}, "utf-8", Colours.TRUE),
        ({"TERM": "xterm-256color"}, "UTF-8", Colours.INDEXED),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, "utf-8", Colours.NONE),
        ({"TERM": "dumb"}, "utf-8", Colours.NONE),
        ({"COLORTERM": "truecolor"}, "cp1252", Colours.NONE),
    ],
)
def test_what_a_terminal_can_show(environment: dict[str, str], encoding: str, expected: Colours) -> None:
    assert terminal.supported(environment, encoding) is expected


def test_letters_get_darker() -> None:
    lines = terminal.picture(np.array([[0, 5, 9]] * 2), colours=Colours.NONE)
    assert lines == [" +@"]


def test_two_pixels_to_a_letter() -> None:
    (line,) = terminal.picture(np.array([[0, 255], [255, 0]]), colours=Colours.TRUE)
    assert line == ("\x1b[38;2;0;0;0;48;2;255;255;255m▀\x1b[38;2;255;255;255;48;2;0;0;0m▀\x1b[0m")
    (line,) = terminal.picture(np.array([[0, 255], [255, 0]]), colours=Colours.INDEXED)
    assert line == "\x1b[38;5;16;48;5;231m▀\x1b[38;5;231;48;5;16m▀\x1b[0m"


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (300, 1000), (1, 500), (700, 3)])
def test_pictures_fit(shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1]).reshape(shape)
    for colours in Colours:
        lines = terminal.picture(values, width=40, colours=colours, wide=True)
        assert 1 <= len(lines) <= 40
        assert all(line.count("▀") <= 40 if colours is not Colours.NONE else len(line) <= 40 for line in lines)


def test_a_line_is_shown_as_bars() -> None:
    assert terminal.picture(np.array([0, 1, 2, 3, 4, 5, 6, 7])) == ["▁▂▃▄▅▆▇█"]
    assert len(terminal.picture(np.arange(5000), width=48)[0]) <= 48
