"""Values written as YAML where no side has a text for them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from emdvc.history.merging.texts.values import equal
from emdvc.history.merging.texts.yaml_nodes import UnusualYamlError, load


def flow_text(value: Any) -> str:
    """Return a value on one line, as it can stand within brackets."""
    from emdvc.history.yaml_files import flow

    text = _dumped([value], flow).strip()[1:-1]
    try:
        if "\n" not in text and equal(load(f"[{text}]\n"), [value]):
            return text
    except UnusualYamlError:
        pass
    return json.dumps(value, ensure_ascii=True, default=str)


def block_text(value: Any) -> str:
    """Return a mapping in lines."""
    return _dumped(value, lambda node: node)


def _dumped(value: Any, shape: Callable[[Any], Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1 << 20
    yaml.default_flow_style = False
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    buffer = io.StringIO()
    yaml.dump(shape(value), buffer)
    return buffer.getvalue()
