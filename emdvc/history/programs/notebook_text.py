"""A notebook without what running it wrote: the text that git keeps and that a stage depends on.

The outputs, the counts and times of execution, the widgets' state, and the version of the Python that ran it are not
the notebook. A clone without the packages that run notebooks must strip as well, at every ``git add``, and everybody
must get the same bytes: so this is plain JSON, written as nbformat and Jupyter write it.
"""

from __future__ import annotations

import json
from typing import Any

from emdvc.errors import FormatError

#: What a run or a look leaves in the metadata of a cell.
_CELL = ("ExecuteTime", "collapsed", "execution", "heading_collapsed", "hidden", "papermill", "scrolled", "trusted")
#: What it leaves in the metadata of a notebook.
_NOTEBOOK = ("language_info", "orig_nbformat", "papermill", "signature", "vscode", "widgets")
#: The kernel that every Jupyter has for Python: which one wrote the file last says nothing about the notebook.
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def load(text: str, where: str) -> dict[str, Any]:
    """Return a notebook of version 4 as plain values.

    Raises
    ------
    FormatError
        The text is no such notebook.
    """
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{where} is no notebook", evidence=f"it is not JSON: {error}") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise FormatError(
            f"{where} is no notebook of version 4",
            evidence="it holds no list of cells",
            hint=f"jupyter nbconvert --to notebook --nbformat 4 --inplace {where}",
        )
    return dict(notebook)


def dump(notebook: dict[str, Any]) -> str:
    """Return a notebook as text, byte for byte as nbformat and Jupyter write it."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def strip(text: str, where: str = "the notebook") -> str:
    """Return a notebook without outputs and without what tells one run from another.

    Raises
    ------
    FormatError
        The text is no notebook.
    """
    notebook = load(text, where)
    for cell in notebook["cells"]:
        metadata = cell.setdefault("metadata", {})
        for name in _CELL:
            metadata.pop(name, None)
        if isinstance(metadata.get("jupyter"), dict):  # whether outputs are folded
            metadata["jupyter"].pop("outputs_hidden", None)
            if not metadata["jupyter"]:
                del metadata["jupyter"]
        cell["source"] = lines(cell.get("source", ""))
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
    metadata = notebook.setdefault("metadata", {})
    for name in _NOTEBOOK:
        metadata.pop(name, None)
    kernel = metadata.get("kernelspec")
    if kernel is None or kernel.get("language", "python") == "python":
        metadata["kernelspec"] = dict(KERNEL)
    return dump(notebook)


def lines(text: str | list[str]) -> list[str]:
    """Return a text as the list of its lines, as it stands in a notebook's file."""
    whole = text if isinstance(text, str) else "".join(text)
    return whole.splitlines(keepends=True)


def holds_outputs(text: str) -> bool:
    """Say whether stripping would take an output out of a notebook's text; of what is no notebook: no."""
    try:
        notebook = load(text, "the notebook")
    except FormatError:
        return False
    return any(isinstance(cell, dict) and cell.get("outputs") for cell in notebook["cells"])


def parameters_cell(notebook: dict[str, Any]) -> int | None:
    """Return the position of the cell that is tagged ``parameters``; None where there is none."""
    for position, cell in enumerate(notebook["cells"]):
        if cell.get("cell_type") == "code" and "parameters" in (cell.get("metadata", {}).get("tags") or ()):
            return position
    return None


def defaults(notebook: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the cell tagged ``parameters`` assigns; None where there is none.

    A value that is no plain literal stands as None: its name is known, its value only to Python.
    """
    import ast

    position = parameters_cell(notebook)
    if position is None:
        return None
    source = "".join(notebook["cells"][position].get("source", ""))
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise FormatError(
            "the notebook's cell of parameters is no Python", evidence=f"line {error.lineno}: {error.msg}"
        ) from error
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: _literal(node.value) for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = _literal(node.value)
    return found


def _literal(node: Any) -> Any:
    import ast

    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
