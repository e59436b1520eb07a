"""Results as JSON and as a page of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.compare import Compared
from benchmarks.environments import PEERS
from benchmarks.operations import OPERATIONS

COLUMNS = ("NumPy", *(peer.name for peer in PEERS))
#: What the streamed pass may take at most, relative to decoding alone.
STREAMED = 1.5


def as_numbers(one: Compared) -> dict[str, Any]:
    """Return what was measured of an operation as JSON has it."""
    return {
        "speed": one.speed,
        "ratios": one.ratios,
        "speeds": one.speeds,
        "remarks": one.remarks,
        "seconds": one.seconds,
    }


def page(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks`; the numbers behind it are in `benchmarks/results.json`. emdvc and each "
        "peer take turns in one run, after one run of each to warm up, and medians are compared: on a machine that "
        "others use too, the ratios mean something, the seconds do not.",
        "",
        *_circumstances(results),
    ]
    sections = {
        "operations": _operations,
        "streamed": _streamed,
        "machine": _machine,
        "scaling": _scaling,
        "memory": _memory,
        "compilation": _compilation,
        "status": _status,
    }
    for name, section in sections.items():
        if name in results["sections"]:
            parts += ["", *section(results["sections"][name]["found"])]
    return "\n".join(parts) + "\n"


def _circumstances(results: Mapping[str, Any]) -> list[str]:
    session = results["session"]
    told = [
        f"- Date: {results['date']}; emdvc {results['versions']['emdvc']}, NumPy {results['versions']['numpy']}, numba "
        f"{results['versions']['numba']}, Python {results['versions']['python']}.",
        f"- Machine: {session['processors']} cores, {session['memory'] / 2**30:.0f} GiB of memory; "
        f"{session['threads']} threads; at least {session['runs']} runs of each, where nothing else is said.",
        f"- Scan: {session['shapes']['scan']}; strained crystal: {session['shapes']['lattice']}; spectra: "
        f"{session['shapes']['eels']} (EELS), {session['shapes']['edx']} (EDX); 16-bit counts, in memory.",
    ]
    for name, peer in results["peers"].items():
        versions = ", ".join(f"{package} {version}" for package, version in peer.get("versions", {}).items())
        skipped = f" ({peer['skipped']})" if "skipped" in peer else ""
        told.append(f"- {name}: {versions or 'not measured'}{skipped}.")
    return told


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _header(*cells: str) -> list[str]:
    return [_row(cells), _row(["---"] + ["---:"] * (len(cells) - 1))]


def _operations(found: Mapping[str, Any]) -> list[str]:
    columns = [name for name in COLUMNS if any(name in one["remarks"] for one in found.values())]
    lines = [
        "## Operations",
        "",
        "From memory. `12 x` is how many times as fast emdvc is; `-` is not offered, `≠` not compared (see below). "
        "HyperSpy stands for HyperSpy, pyxem and exspy. The aim is what emdvc wants to be at least, against the "
        "fastest package and against NumPy.",
        "",
        *_header("operation", "emdvc, GB/s", *columns, "aim", "met"),
    ]
    remarks = []
    for operation in OPERATIONS:
        if operation.name not in found:
            continue
        one = found[operation.name]
        cells = [operation.title, f"{one['speed'] / 1e9:.3g}", *(_ratio(one, name) for name in columns)]
        lines.append(_row([*cells, *_aim(operation, one)]))
        remarks += [f"- {operation.title}, {name}: {remark}." for name, remark in one["remarks"].items()]
    lines += ["", "How the results agree (root mean square of the difference, relative), and what was left out:", ""]
    return lines + remarks


def _ratio(one: Mapping[str, Any], name: str) -> str:
    if name in one["ratios"]:
        ratio = one["ratios"][name]
        return f"{ratio:.0f} x" if ratio >= 100 else f"{ratio:.3g} x"
    return "≠" if name in one["remarks"] else "-"


def _aim(operation: Any, one: Mapping[str, Any]) -> tuple[str, str]:
    if operation.target is None:
        return "", ""
    package, numpy = operation.target
    packages = [ratio for name, ratio in one["ratios"].items() if name != "NumPy"]
    aims, met = [f"{package:g} x"], [min(packages) >= package] if packages else []
    if numpy is not None:
        aims.append(f"NumPy {numpy:g} x")
        met.append(one["ratios"].get("NumPy", float("inf")) >= numpy)
    return ", ".join(aims), ("yes" if all(met) else "no") if packages else ""


def _streamed(found: Mapping[str, float]) -> list[str]:
    return [
        "## Streamed from compressed Zarr",
        "",
        "Sum, four detectors, centre of mass and profile in one pass over chunks of 8 x 8 patterns (Blosc lz4, "
        f"bitshuffle) take {found['pass']:.3g} s, decoding the same chunks alone {found['decode']:.3g} s: "
        f"**{found['ratio']:.2f} x** (aim: at most {STREAMED:g} x).",
    ]


def _machine(found: Mapping[str, float]) -> list[str]:
    lines = ["## What the machine can do", "", *_header("limit", "GB/s of counts")]
    return lines + [_row([name, f"{speed / 1e9:.3g}"]) for name, speed in found.items()]


def _scaling(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = ["## Scaling", "", "The one pass, from memory: the time per byte stays flat with the size of the scan.", ""]
    lines += _header("threads", "GB/s") + [_row([n, f"{v / 1e9:.3g}"]) for n, v in found["threads"].items()]
    lines += ["", *_header("scan", "GB/s")] + [_row([n, f"{v / 1e9:.3g}"]) for n, v in found["scan"].items()]
    return lines


def _memory(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Memory",
        "",
        f"`emdvc run recipe` with the same steps on {found['bytes'] / 2**30:.3g} GiB of counts, compressed: the whole "
        "command, start included; the most memory that its processes held at once.",
        "",
        *_header("run", "s", "peak, MiB"),
    ]
    return lines + [_row([n, f"{v['seconds']:.3g}", f"{v['peak'] / 2**20:.0f}"]) for n, v in found["runs"].items()]


def _compilation(found: Mapping[str, float]) -> list[str]:
    return [
        "## Compilation",
        "",
        f"The steps that a person runs first compile {found['functions']} functions: {found['cold']:.2f} s on the "
        f"first use (at most {found['limit']:g} s), {found['warm']:.2f} s on the second.",
    ]


def _status(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## The state of a project of many files",
        "",
        f"A scan of {found['chunks']} chunk files and a stage that reads it, nothing changed, the data also in a "
        "folder as remote: whole commands, start included, in turn. Flat: all files in one folder; deep: each in a "
        "folder of its own, as Zarr writes them when nothing else is said. In brackets: part of DVC's time (aim: at "
        f"most {found['limit']:g}).",
        "",
    ]
    names = list(next(iter(found["layouts"].values())))
    lines += _header("chunk files", *(f"`{name}`, s" for name in names))
    for layout, seconds in found["layouts"].items():
        cells = [f"{seconds[name]:.3g} ({seconds[name] / seconds[names[0]]:.3f})" for name in names[1:]]
        lines.append(_row([layout, f"{seconds[names[0]]:.3g}", *cells]))
    return lines
