"""Writes the reference pages from the code that they speak of, so that neither can say what the other does not."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write(folder: Path) -> None:
    """Write every generated page; a page that has not changed keeps its time, so that Sphinx need not read it again."""
    import step_pictures

    from emdvc.steps import registry

    folder.mkdir(parents=True, exist_ok=True)
    pages = {"cli": cli, "steps": steps, "formats": formats, "fields": fields, "errors": errors, "sidecar": sidecar}
    for name, page in pages.items():
        _write(folder / f"{name}.md", page())
    failed = step_pictures.draw(folder / "steps")
    if failed:
        raise RuntimeError(f"steps whose example does not run: {failed}")
    for name in registry.names():
        _write(folder / "steps" / f"{name}.md", step_page(name, folder / "steps"))


def _write(file: Path, text: str) -> None:
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_bytes(text.encode("utf-8"))


def cli() -> str:
    """Return the page of all commands."""
    import typer

    from emdvc.cli import commands, main

    group = typer.main.get_command(main.app)
    parts = ["# Command line\n", _COMMON]
    for heading, section in commands.COMMANDS.items():
        parts.append(f"## {heading}\n")
        for name in section:
            parts += _command(group.get_command(None, name), ("emdvc", name))
    return "\n".join(parts)


_COMMON = """\
The answer goes to stdout, progress and notes to stderr. `--json` prints the answer as JSON with a versioned schema.
Exit status: 0 fine; 1 differs or found something (with `--exit-code`); 2 wrong usage; 3 the data is not here;
4 conflict; 70 a fault of emdvc.
"""


def _command(command: Any, path: tuple[str, ...]) -> list[str]:
    level = "#" * (len(path) + 1)
    parts = [f"{level} `{' '.join(path)}`\n"]
    children = getattr(command, "commands", {})
    parts.append(_paragraphs(command.help or ""))
    if children:
        for name, child in children.items():
            parts += _command(child, (*path, name)) if not child.hidden else []
        return parts
    parts.append(f"```text\n{_usage(command, path)}\n```\n")
    shown = [p for p in command.params if not getattr(p, "hidden", False) and "completion" not in p.name]
    rows = [_parameter_row(parameter) for parameter in shown]
    parts.append(_table(("Argument or option", "What it is", "Default"), rows))
    return parts


def _usage(command: Any, path: tuple[str, ...]) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    words = [_name(one) if one.required else f"[{_name(one)}]" for one in arguments]
    return " ".join([*path, "[OPTIONS]", *words])


def _name(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).strip("[]")
    return f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name


def _parameter_row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        name = f"`{_name(parameter)}`"
    else:
        flag = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
        kind = {"str": "TEXT", "int": "NUMBER", "Path": "PATH"}
        bare = getattr(parameter.bare_type, "__name__", "")
        name = flag if parameter.is_flag else f"{flag} `{parameter.metavar or kind.get(bare, bare.upper())}`"
    default = parameter.default
    shown = "" if default in (None, False, (), []) or callable(default) else f"`{default}`"
    return name, parameter.help or "", "required" if parameter.required else shown


#: Heading -> steps. A step that is missing here stands under the last.
GROUPS = {
    "Frames": ("correct", "bad_pixels", "crop", "rebin", "align", "frame_statistics", "spectrum_statistics", "convert"),
    "Diffraction patterns": (
        "sum_pattern",
        "virtual_image",
        "virtual_detector",
        "center_of_mass",
        "radial_profile",
        "azimuthal_profile",
        "polar_transform",
        "ellipse_fit",
        "angular_correlation",
        "fem_variance",
        "ring_variance",
    ),
    "Phase contrast": ("descan_fit", "scan_rotation", "dpc", "idpc"),
    "Bragg disks and strain": ("bragg_disks", "find_peaks", "strain"),
    "Electron energy loss": ("align_zero_loss", "power_law_background", "elemental_map", "thickness"),
    "X-rays and spectra": ("sum_spectrum", "energy_map", "line_intensity", "pca"),
    "Several at once": ("recipe",),
}


def steps() -> str:
    """Return the page that lists all steps."""
    from emdvc.steps import registry

    listed = {name for names in GROUPS.values() for name in names}
    last = list(GROUPS)[-1]
    parts = ["# Steps\n", _STEPS]
    for heading, names in GROUPS.items():
        known = [name for name in names if name in registry.names()]
        known += [name for name in registry.names() if name not in listed] if heading == last else []
        rows = [(f"[`{name}`](steps/{name}.md)", _line(registry.find(name).summary)) for name in known]
        parts += [f"## {heading}\n", _table(("Step", "What it does"), rows)]
    parts.append("```{toctree}\n:hidden:\n")
    parts += [f"steps/{name}" for name in registry.names()]
    parts.append("```\n")
    return "\n".join(parts)


def step_page(name: str, pictures: Path) -> str:
    """Return the page of one step: formula and source, picture, parameters, metadata, results."""
    from emdvc.render.steps import describe
    from emdvc.steps import registry

    step = describe(registry.find(name))
    parts = [f"# `{name}`\n", _paragraphs(step["doc"])]
    if (pictures / f"{name}.png").is_file():
        parts.append(f"![Result of {name} on simulated data]({name}.png)\n")
    if step["core"]:
        frames = "One frame has the dimensions" if step["frames"] else "It works on whole arrays of the dimensions"
        parts.append(f"Version {step['version']}. {frames} {', '.join(step['core'])}.\n")
    rows = [
        (
            f"`{one['name']}`",
            _line(f"{one['type'] if one['type'] != 'quantity' else ''} {one['unit']}"),
            "required" if one["required"] else _code(one["default"]),
            one["doc"],
        )
        for one in step["parameters"]
    ]
    parts.append(_table(("Parameter", "Type or unit", "Default", "What it is"), rows))
    parts.append("**Metadata read**\n")
    parts += [
        f"- {f'with radii or axes in {unit}: ' if unit else ''}{', '.join(map(_code, keys)) or 'none'}"
        for unit, keys in step["metadata"].items()
    ]
    outputs = [(f"`{o['name']}`", ", ".join(o["dims"]), o["unit"], o["title"]) for o in step["outputs"]]
    if outputs:
        parts += ["\n**Arrays of the result**\n", _table(("Name", "Dimensions", "Unit", "What it is"), outputs)]
    return "\n".join(parts)


_STEPS = """\
What `emdvc steps` and `emdvc steps NAME` print. Parameters stand in `params.yaml` under the stage's name; numbers with
a unit are written as in `20mrad`, `0.5/angstrom`, `30px`. The result is a Zarr store with its sidecar and a picture.
The pictures here are results on [simulated data](../../explanation/same-bytes.md).
"""


def formats() -> str:
    """Return the page of all readers."""
    from emdvc.formats import registry

    rows = [
        (
            f"`{info.name}`",
            info.formats,
            " ".join(f"`{extension}`" for extension in info.extensions) or "by content",
            "yes" if info.lazy else "no",
            info.licence,
            f"`{info.extra}`" if info.extra else "",
        )
        for info in registry.readers()
    ]
    head = ("Reader", "Formats", "Extensions", "Lazy", "Licence", "Extra")
    return f"# Formats\n\n{_FORMATS}\n{_table(head, rows)}"


_FORMATS = """\
What `emdvc formats` prints. A file is recognised by its content first, by its extension second; `--reader NAME`
decides where several readers claim it. *Lazy* readers leave the numbers in the file until they are needed.
A reader with an *extra* comes by `pip install 'emdvc[EXTRA]'`.
"""


def fields() -> str:
    """Return the page of the record's fields."""
    from emdvc.model.record import FIELDS

    rows = [
        (
            f"`{f.key}`",
            f.doc,
            f.unit or f.kind,
            _code(f.hyperspy) if f.hyperspy else "",
            _code(f.nexus) if f.nexus else "",
        )
        for f in FIELDS
    ]
    head = ("Key", "What it is", "Unit or kind", "HyperSpy", "NeXus")
    return f"# Fields of the acquisition record\n\n{_FIELDS}\n{_table(head, rows)}"


_FIELDS = """\
What `emdvc fields` prints, and what `--set KEY=VALUE` accepts. In the HyperSpy column `T` stands for
`Acquisition_instrument.TEM`; in the NeXus column `N` for `/entry/measurement/eventID/instrument`, `O` for `N/optics`,
`B` for `N/ebeam_column`, `I` for `/entry/measurement/instrument`, `D` for `N/detectorID`.
"""


def errors() -> str:
    """Return the page of errors: the tree, as its module draws it, and every code."""
    from emdvc import errors as module

    drawing = (inspect.getdoc(module) or "").split("::\n\n", 1)[1].split("\n\n", 1)[0]
    tree = textwrap.dedent(drawing)
    codes = "\n".join(f"- `{code}`" for code in module.Code)
    return f"# Errors and exit status\n\n{_ERRORS}\n```text\n{tree}\n```\n\n## Codes\n\n{_CODES}\n\n{codes}\n"


_ERRORS = """\
An error says one cause, one line of evidence, and one command that helps:

```text
error[EM-STEP-PARAMETER]: the centre lies outside the detector
  centre (300, 10) px, detector 256 x 256 px
  hint: the order is (y, x): --set center=Y,Xpx
```

Choose by class what to do about it; the class also fixes the exit status.
"""
_CODES = "A code once published keeps its meaning; a script can rely on it."


def sidecar() -> str:
    """Return the page of the sidecar, with one written now by the code that writes them all."""
    import tempfile

    from emdvc.formats import registry
    from emdvc.formats import sidecar as files
    from emdvc.formats.contract import ReadOptions
    from emdvc.formats.describe import describe
    from emdvc.formats.digest import array_digest
    from emdvc.testing.phantoms import DiffractionPhantom
    from emdvc.testing.write import write_zarr

    with tempfile.TemporaryDirectory() as folder:
        path = write_zarr(Path(folder) / "scan01.zarr", DiffractionPhantom((4, 4), (16, 16)))
        opened = registry.open_file(path)
        main = opened.variable()
        values = main.array.read(tuple(slice(0, n) for n in main.array.shape))
        digests = {main.name: array_digest(values)}
        example = describe(opened, options=ReadOptions(), files=[], digests=digests)
        opened.close()
    text = files.dump_yaml(example.to_dict())
    return f"# The sidecar `X.em.yaml`\n\n{_SIDECAR}\n## An example\n\n```yaml\n{text}```\n"


_SIDECAR = (Path(__file__).parent / "reference" / "sidecar-schema.inc").read_text(encoding="utf-8")


def _paragraphs(text: str) -> str:
    # docstrings write literals with two backticks, as Markdown may too; a backslash-b keeps a paragraph's lines
    return inspect.cleandoc(text.replace("\b\n", "")) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _code(value: object) -> str:
    return "" if value is None or value == {} else f"`{value}`"
