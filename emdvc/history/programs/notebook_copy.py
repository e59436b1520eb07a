"""An executed notebook without what differs from run to run: the same input gives the same bytes on every machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from emdvc.history.programs.notebook_text import KERNEL, dump, lines, load

# Python's name of a cell in a warning: a file of the kernel's process, /tmp/ipykernel_4711/1234567.py
_CELL_FILE = re.compile(r"[^\s'\"(]*[/\\]ipykernel_\d+[/\\]\d+\.py")
_WIDGET = "application/vnd.jupyter.widget-view+json"


def normal(text: str, source: str, folders: dict[str, str]) -> str:
    """Return the text of an executed copy as it is kept.

    Times, durations, the version of papermill and of Python, and random names of cells are left out; the streams of a
    cell are put together; folders of this machine have a name that holds everywhere.

    Parameters
    ----------
    text
        What papermill wrote.
    source
        The notebook that was executed.
    folders
        Path on this machine -> what stands for it.
    """
    notebook = load(text, "the executed copy")
    kept = {cell["id"] for cell in load(source, "the notebook")["cells"] if "id" in cell}
    for position, cell in enumerate(notebook["cells"]):
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
        if "id" in cell and cell["id"] not in kept:
            cell["id"] = f"cell-{position}"
        if cell["cell_type"] == "code":
            cell["outputs"] = [_neutral(output, folders) for output in _streams_together(cell["outputs"])]
    metadata = notebook["metadata"]
    for name in ("papermill", "widgets"):
        metadata.pop(name, None)
    metadata["language_info"] = {"name": "python"}
    metadata["kernelspec"] = dict(KERNEL)
    return dump(notebook)


def _streams_together(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs with one text of each stream between two other outputs: how they were cut is a matter of time."""
    found: list[dict[str, Any]] = []
    waiting: dict[str, list[str]] = {}

    def flush() -> None:
        for name in sorted(waiting, reverse=True):  # stdout, then stderr
            found.append({"name": name, "output_type": "stream", "text": "".join(waiting[name])})
        waiting.clear()

    for output in outputs:
        if output["output_type"] == "stream":
            waiting.setdefault(output["name"], []).extend(lines(output["text"]))
            continue
        flush()
        found.append(output)
    flush()
    return found


def _neutral(output: dict[str, Any], folders: dict[str, str]) -> dict[str, Any]:
    if output["output_type"] == "stream":
        output["text"] = lines(_named("".join(output["text"]), folders))
    elif output["output_type"] == "error":
        output["traceback"] = [_named(line, folders) for line in output["traceback"]]
    else:
        data = output.get("data", {})
        data.pop(_WIDGET, None)
        for kind in data:
            if kind.startswith("text/") or kind == "image/svg+xml":
                data[kind] = lines(_named("".join(data[kind]), folders))
    return output


def _named(text: str, folders: dict[str, str]) -> str:
    text = _CELL_FILE.sub("<cell>", text)
    for folder in sorted(folders, key=len, reverse=True):
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", lambda _, name=folders[folder]: name, text)  # type: ignore[misc]
    return text


def folders_of(project: Path, prefix: Path) -> dict[str, str]:
    """Return the folders of this machine that a notebook's outputs may name, and what stands for each.

    Parameters
    ----------
    project
        The folder of the pipeline.
    prefix
        That of the Python environment.
    """
    found: dict[str, str] = {}
    for folder, name in ((project, "<project>"), (prefix, "<environment>"), (Path.home(), "~")):
        for path in (folder, folder.resolve()):
            if len(path.parts) > 1:
                # as it is, as a URL has it, and as Python's repr has it on Windows
                found |= dict.fromkeys((str(path), path.as_posix(), str(path).replace("\\", "\\\\")), name)
    return found
