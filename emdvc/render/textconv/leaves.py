"""Leaves of metadata as lines of their own: the same content gives the same line, another content another line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from emdvc.errors import MetadataError
from emdvc.model import units
from emdvc.model.quantity import Quantity, is_quantity
from emdvc.model.record import BY_KEY
from emdvc.render.textconv.decimal_units import power_of_ten

#: Longer texts and lists are cut, and told apart by the checksum of the whole.
LONGEST = 160
_CUT = 100

_DIGEST = re.compile(r"^((?:[\w-]+:)?[0-9a-f]{8})[0-9a-f]{24,}(\.dir)?$")
#: Texts that would be taken for something else if they stood there without quotes.
_MISTAKEN = re.compile(r"^(|unknown|true|false|nan|[-+]?(inf|\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?)$", re.IGNORECASE)


def lines(tree: Any, prefix: str = "", indent: str = "  ") -> list[str]:
    """Return one line per leaf of a metadata tree: ``  beam.energy: 200 keV (user)``; none of an empty one."""
    if tree == {} and not prefix:
        return []
    return [f"{indent}{one_line(key)}: {value(leaf, key)}" for key, leaf in flat(tree, prefix)]


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (key, leaf) of any tree, keys sorted; a quantity is one leaf, and so is a list of plain values."""
    if isinstance(node, Mapping) and node and not is_quantity(node):
        for name in sorted(node, key=str):
            yield from flat(node[name], f"{key}.{name}" if key else str(name))
    elif isinstance(node, list) and any(isinstance(part, dict | list) for part in node):
        for number, part in enumerate(node):
            yield from flat(part, f"{key}[{number}]")
    else:
        yield key, node


def value(leaf: Any, key: str = "") -> str:
    """Return a leaf as text; a quantity in the unit that its field is normally given in, with its origin."""
    if is_quantity(leaf):
        try:
            return quantity(canonical(Quantity.from_dict(leaf), key))
        except MetadataError:  # a vendor may call anything a value
            leaf = [f"{name}: {plain(part)}" for name, part in sorted(leaf.items())]
    if isinstance(leaf, list):
        return cut(f"[{', '.join(value(part) for part in leaf)}]")
    return plain(leaf)


def quantity(found: Quantity) -> str:
    """Return a quantity with its origin: ``(2, 2) nm (file)``."""
    numbers = ", ".join(number(one) for one in found.values)
    text = cut(f"({numbers})") if isinstance(found.value, tuple) else numbers
    unit = units.pretty(found.unit)
    return f"{text}{'' if unit in ('', '°') else ' '}{unit} ({found.origin})"


def canonical(found: Quantity, key: str) -> Quantity:
    """Return a quantity in the unit of its field, where it can be given in it: 200 kV and 0.2 MV then read the same."""
    field = BY_KEY.get(key)
    if field is None or field.kind not in ("quantity", "pair") or found.unit in ("", field.unit):
        return found
    power = power_of_ten(found.unit, field.unit)
    try:
        scale = units.factor(found.unit, field.unit) if power is None else 10.0**power
    except MetadataError:
        return found
    # the conversion rounds: its last digits are not the measurement's
    rounded = tuple(float(f"{one * scale:.12g}") for one in found.values)
    return Quantity(rounded if isinstance(found.value, tuple) else rounded[0], field.unit, found.origin)


def canonical_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with every quantity in the unit of its field."""
    return {name: _canonical(node, str(name)) for name, node in record.items()}


def _canonical(node: Any, key: str) -> Any:
    if is_quantity(node):
        try:
            return canonical(Quantity.from_dict(node), key).to_dict()
        except MetadataError:
            return node
    if isinstance(node, Mapping):
        return {name: _canonical(part, f"{key}.{name}") for name, part in node.items()}
    return node


def number(found: float) -> str:
    """Return a number so that another number gives another text: whole ones without a point, others exactly."""
    if found == found and abs(found) < 1e15 and found == int(found):
        return str(int(found))
    return repr(found)


def plain(leaf: Any) -> str:
    """Return a leaf that is no quantity on one line; null as ``unknown``, checksums by their first digits."""
    if leaf is None:
        return "unknown"
    if isinstance(leaf, bool):
        return "true" if leaf else "false"
    if isinstance(leaf, int | float):
        return number(leaf)
    if isinstance(leaf, str):
        text = one_line(leaf)
        quoted = _MISTAKEN.match(text) or text != text.strip()
        return cut(f"'{text}'" if quoted else digest(text))
    if hasattr(leaf, "isoformat"):  # a date that YAML took for one
        return str(leaf.isoformat())
    return cut(one_line(str(leaf)))


def digest(text: str) -> str:
    """Return the first digits of a checksum; any other text as it is."""
    found = _DIGEST.match(text)
    return f"{found[1]}{found[2] or ''}" if found else text


def one_line(text: str) -> str:
    """Return a text on one line, without what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def cut(text: str) -> str:
    """Return a text, a long one by its beginning, its length and the checksum of the whole."""
    if len(text) <= LONGEST:
        return text
    whole = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[:_CUT].rstrip()}... ({len(text)} characters, sha256 {whole})"
