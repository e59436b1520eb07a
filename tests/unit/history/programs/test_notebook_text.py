from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.errors import FormatError
from emdvc.history.programs.notebook_text import defaults, holds_outputs, load, strip

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
_OUTPUT = st.one_of(
    st.fixed_dictionaries(
        {"output_type": st.just("stream"), "name": st.sampled_from(["stdout", "stderr"]), "text": _TEXT}
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": st.fixed_dictionaries({"text/plain": _TEXT}),
            "metadata": st.just({}),
            "execution_count": st.integers(1, 99),
        }
    ),
)
_CELL = st.one_of(
    st.builds(nbformat.v4.new_markdown_cell, _TEXT),
    st.builds(
        lambda source, outputs, count, metadata: nbformat.v4.new_code_cell(
            source, outputs=[nbformat.from_dict(one) for one in outputs], execution_count=count, metadata=metadata
        ),
        _TEXT,
        st.lists(_OUTPUT, max_size=3),
        st.integers(1, 99),
        st.dictionaries(st.sampled_from(["scrolled", "collapsed", "kept"]), st.booleans()),
    ),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(_CELL, max_size=5))
def test_a_stripped_notebook_is_the_notebook_written_by_nbformat_but_for_its_runs(cells: list[Any]) -> None:
    notebook = nbformat.v4.new_notebook(cells=cells)
    once = strip(nbformat.writes(notebook))
    assert strip(once) == once
    assert not holds_outputs(once)
    back = nbformat.reads(once, as_version=4)
    nbformat.validate(back)
    assert nbformat.writes(back) + "\n" == once  # Jupyter's own bytes: saving without a change changes nothing
    assert [(cell.cell_type, cell.source, cell.id) for cell in back.cells] == [
        (cell.cell_type, cell.source, cell.id) for cell in cells
    ]
    assert all("scrolled" not in cell.metadata for cell in back.cells)
    assert [cell.metadata.get("kept") for cell in back.cells] == [cell.metadata.get("kept") for cell in cells]


def test_which_python_ran_it_says_nothing() -> None:
    def notebook(version: str, kernel: str) -> str:
        metadata = {"kernelspec": {"name": kernel, "display_name": kernel}, "language_info": {"version": version}}
        return json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})

    assert strip(notebook("3.11.7", "python3")) == strip(notebook("3.13.0", "my-own"))


@pytest.mark.parametrize("text", ["", "<<<<<<< ours\n{}", "[]", "{}", '{"cells": [1]}', '{"worksheets": []}'])
def test_what_is_no_notebook_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        strip(text)
    assert not holds_outputs(text)


def test_parameters_are_what_the_tagged_cell_assigns() -> None:
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}}
    source = ["a = 1\n", "b: str = 'x'\n", "c = {'d': [1, 2.5]}\n", "e = f()\n", "print(a)"]
    notebook = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "#"}, cell | {"source": source}]}
    assert defaults(load(json.dumps(notebook), "it")) == {"a": 1, "b": "x", "c": {"d": [1, 2.5]}, "e": None}
    assert defaults({"cells": notebook["cells"][:1]}) is None
    with pytest.raises(FormatError, match="no Python"):
        defaults({"cells": [cell | {"source": "a = = 1"}]})
