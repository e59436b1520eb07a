from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emdvc.history.programs.notebook_copy import folders_of, normal


def _executed(outputs: list[dict[str, Any]], random: str, minutes: str) -> str:
    times = {
        "papermill": {"duration": float(minutes), "end_time": minutes},
        "execution": {"iopub.status.busy": minutes},
    }
    cells = [
        {"cell_type": "code", "id": "own", "metadata": {}, "source": "", "outputs": [], "execution_count": 1},
        {
            "cell_type": "code",
            "id": random,
            "metadata": {"tags": ["injected-parameters"], **times},
            "source": "",
            "outputs": outputs,
            "execution_count": 2,
        },
    ]
    metadata = {"papermill": {"version": minutes}, "language_info": {"version": minutes}, "widgets": {random: {}}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def test_runs_that_differ_in_time_and_place_give_the_same_copy(tmp_path: Path) -> None:
    source = json.dumps({"cells": [{"cell_type": "code", "id": "own", "metadata": {}, "source": ""}]})
    picture = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<x>", "image/png": "AAAA"}}
    copies = []
    for number, machine in enumerate(("here", "there")):
        project, prefix = tmp_path / machine / "my project", tmp_path / machine / ".venv"
        warning = f"/tmp/ipykernel_{number}7/12345.py:3: UserWarning: look at {project / 'raw'}\n"
        out = [_stream("stdout", "a\n"), _stream("stdout", f"b in {prefix}\n")]
        err = [_stream("stderr", warning)]
        outputs = [*(out + err if number else [out[0], *err, out[1]]), picture, _stream("stdout", "c\n")]
        text = _executed(outputs, f"random{number}", str(number))
        copies.append(normal(text, source, folders_of(project, prefix)))
    assert copies[0] == copies[1]
    cells = json.loads(copies[0])["cells"]
    assert [cell["id"] for cell in cells] == ["own", "cell-1"]
    assert [output.get("text") for output in cells[1]["outputs"]] == [
        ["a\n", "b in <environment>\n"],
        ["<cell>:3: UserWarning: look at <project>/raw\n"],
        None,
        ["c\n"],
    ]
    assert cells[1]["outputs"][2]["data"]["image/png"] == "AAAA"


def test_only_whole_names_of_folders_are_replaced(tmp_path: Path) -> None:
    source = json.dumps({"cells": []})
    text = _executed([_stream("stdout", f"{tmp_path}/scan {tmp_path}-2/scan\n")], "r", "1")
    copy = json.loads(normal(text, source, {str(tmp_path): "<project>"}))
    assert copy["cells"][1]["outputs"][0]["text"] == [f"<project>/scan {tmp_path}-2/scan\n"]
