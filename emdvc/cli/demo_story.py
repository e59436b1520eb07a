"""The story that ``emdvc demo`` tells: from an instrument's file to a colleague's identical results, all checked."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from emdvc.cli.demo_proofs import fingerprints, pixel_size_by_gold, require
from emdvc.cli.demo_shell import Shell, chapter, comment
from emdvc.errors import Code, StepError
from emdvc.formats import sidecar as sidecars
from emdvc.model import record as rec
from emdvc.model.sidecar import Sidecar

#: What the stages read, and what is assumed of a file that does not say it.
_ASSUMED = {"beam.energy": "200keV", "diffraction.pixel_size": "0.02/angstrom"}
#: Stage -> whether it depends on the calibration of the detector.
_STAGES = {
    "bright_field": False,
    "dark_field": True,
    "center_of_mass": True,
    "profile": False,
}


@dataclass(frozen=True)
class Scan:
    """The dataset of the story.

    Parameters
    ----------
    name
        Its path in the project.
    detector
        Pixels on the smaller side of the detector.
    energy
        Beam energy, in keV.
    pixel_size
        Size of a detector pixel, in 1/angstrom.
    """

    name: str
    detector: int
    energy: float
    pixel_size: float

    def angle(self, pixels: float) -> str:
        """Return a distance on the detector as a scattering angle, to three digits."""
        from emdvc.model.quantity import Quantity
        from emdvc.steps.geometry import wavelength

        return f"{1000 * wavelength(Quantity(self.energy, 'keV')) * pixels * self.pixel_size:.3g}mrad"


def tell(folder: Path, data: list[str] | None) -> None:
    """Tell the whole story in a new or empty folder.

    Parameters
    ----------
    folder
        Where.
    data
        A file and options for `emdvc add`; None simulates a scan.

    Raises
    ------
    InternalError
        A promise did not hold.
    EnvironmentFault
        A command failed.
    StepError
        The given file holds no diffraction patterns.
    """
    began = time.monotonic()
    for name in ("microscope", "project", "storage"):
        (folder / name).mkdir(parents=True)
    shell = Shell(folder / "project", "Ernst")
    _start(shell)
    scan = _add(shell, folder, data)
    _reduce(shell, scan)
    _correct(shell, scan, simulated=data is None)
    _share(shell, folder)
    _farewell(folder, time.monotonic() - began)


def _start(shell: Shell) -> None:
    chapter(1, "A project")
    comment(
        """A folder becomes a project: git for what is small, DVC for what is large. `lab` is where data is shared;
        here a folder, elsewhere s3://, ssh:// or webdav://. The history is shared by git as ever."""
    )
    shell.run("emdvc", "init", "--remote", "lab=../storage", lines=3)
    shell.run("git", "init", "--quiet", "--bare", "--initial-branch=main", "../history.git")
    shell.run("git", "remote", "add", "origin", "../history.git")


def _add(shell: Shell, folder: Path, data: list[str] | None) -> Scan:
    chapter(2, "A scan comes off the instrument")
    if data is None:
        from emdvc.testing.phantoms import DiffractionPhantom
        from emdvc.testing.write import write_zarr

        comment(
            """The instrument is simulated: 32 x 32 probe positions on a film of gold nanocrystals with three grains,
            Poisson noise, a beam that wanders over the detector, and a nominal pixel size 4 % off, as in life."""
        )
        write_zarr(folder / "microscope" / "scan01.zarr", DiffractionPhantom())
        data = ["../microscope/scan01.zarr"]
    else:
        comment("Your own file: it is copied, the original stays as it is.")
    answer = shell.run("emdvc", "add", *data)
    comment(
        "\nThe bytes are kept by DVC and read-only now. What the instrument said lies beside them as text: the sidecar."
    )
    name = re.search(r"^added (.+)$", answer, re.MULTILINE)
    require(name is not None, "`emdvc add` says where the data lies", answer)
    scan = _complete(shell, name[1] if name else "")
    shell.run("emdvc", "inspect", scan.name, lines=30)
    shell.run("emdvc", "save", "-m", "The scan as it came off the instrument")
    return scan


def _complete(shell: Shell, name: str) -> Scan:
    sidecar = sidecars.read_resolved(shell.folder / name)
    if not {"ky", "kx"} <= set(sidecar.axes):
        raise StepError(
            f"the demo needs diffraction patterns, and {name} has none",
            code=Code.STEP_DIMENSIONS,
            evidence=f"its dimensions are {', '.join(sidecar.axes)}",
            hint="for a spectrum image see examples/edx-maps",
        )
    unknown = [f"{key}={value}" for key, value in _ASSUMED.items() if rec.get(sidecar.record, key) is None]
    if unknown:
        comment(
            "\nThe file does not know all that the stages below need. The demo assumes it; you would type the truth."
        )
        shell.run("emdvc", "add", name, *(word for text in unknown for word in ("--set", text)))
    return _scan(name, sidecars.read_resolved(shell.folder / name))


def _scan(name: str, sidecar: Sidecar) -> Scan:
    energy = rec.quantity(sidecar.record, "beam.energy")
    pixel = rec.quantity(sidecar.record, "diffraction.pixel_size")
    if energy is None or pixel is None:
        raise StepError(f"{name} lacks its beam energy or pixel size", code=Code.METADATA_MISSING)
    kilovolts = float(energy.to("keV").values[0])
    size = float(pixel.values[0])
    if pixel.unit != "1/angstrom" and "rad" in pixel.unit:
        from emdvc.model.quantity import Quantity
        from emdvc.steps.geometry import wavelength

        size = float(pixel.to("mrad").values[0]) / (1000 * wavelength(Quantity(kilovolts, "keV")))
    elif pixel.unit != "1/angstrom":
        size = float(pixel.to("1/angstrom").values[0])
    return Scan(name, min(sidecar.axes["ky"].size, sidecar.axes["kx"].size), kilovolts, size)


def _reduce(shell: Shell, scan: Scan) -> None:
    chapter(3, "Standard results, as stages that DVC can repeat")
    comment(
        """Two detectors: the bright field in pixels, the dark field as an angle. So only the second needs the
        calibration, and its stage says so."""
    )
    half = scan.detector / 2
    added = {
        "bright_field": ("virtual_detector", f"outer={round(half * 0.19)}px"),
        "dark_field": ("virtual_detector", f"inner={scan.angle(half * 0.28)}", f"outer={scan.angle(half * 0.88)}"),
        "center_of_mass": ("center_of_mass",),
        "profile": ("radial_profile",),
    }
    for stage, (step, *settings) in added.items():
        words = [word for setting in settings for word in ("--set", setting)]
        out = f"results/{stage}.zarr"
        shell.run("emdvc", "stage", "add", step, "-d", scan.name, "-o", out, "--name", stage, *words, lines=4)
    comment("\nPlain DVC runs them; emdvc is only the program that each stage calls.")
    ran = _repro(shell)
    require(set(ran) == set(_STAGES), "`dvc repro` runs every stage", ", ".join(ran))
    comment("\nAgain: nothing has changed, nothing runs.")
    again = _repro(shell)
    require(not again, "a second `dvc repro` runs nothing", ", ".join(again))
    shell.run("emdvc", "inspect", "results/dark_field.zarr", lines=8)
    shell.run("emdvc", "save", "-m", "Detectors, centre of mass, radial profile")


def _correct(shell: Shell, scan: Scan, *, simulated: bool) -> None:
    from emdvc.testing.phantoms import DiffractionPhantom

    chapter(4, "The calibration was wrong")
    if simulated:
        size = pixel_size_by_gold(shell.folder / "results" / "profile.zarr")
        truth = DiffractionPhantom().pixel_size
        require(abs(size / truth - 1) < 0.01, "the ring gives the pixel size", f"{size} against {truth}")
        comment(
            f"""In the radial profile of the film stands gold's ring (311), d = 1.230 angstrom. By it a pixel is
            {size:.5f} 1/angstrom, not {scan.pixel_size:.5f}. The raw bytes stay; the sidecar is corrected."""
        )
    else:
        size = 1.02 * scan.pixel_size
        comment("Suppose that the pixel size was 2 % too small. The raw bytes stay; the sidecar is corrected.")
    shell.run("emdvc", "add", scan.name, "--set", f"diffraction.pixel_size={size:.4g}/angstrom")
    comment("\nWhat would now run, and because of which key?")
    shell.run("emdvc", "status", lines=24)
    ran = _repro(shell)
    expected = {stage for stage, calibrated in _STAGES.items() if calibrated}
    require(set(ran) == expected, "only what depends on the pixel size runs again", f"ran: {', '.join(ran)}")
    comment(f"\n{len(ran)} of {len(_STAGES)} stages ran again: {', '.join(ran)}.")
    shell.run("emdvc", "diff", lines=30)
    comment("\nAnd a change that concerns no number reruns nothing:")
    shell.run("emdvc", "add", scan.name, "--set", "operator=Ernst Ruska", lines=1)
    ran = _repro(shell)
    require(not ran, "the operator's name reruns nothing", ", ".join(ran))


def _share(shell: Shell, folder: Path) -> None:
    chapter(5, "A colleague gets the same bytes")
    shell.run("emdvc", "save", "-m", "Pixel size from gold's ring (311)")
    Shell(folder, "Max").run("emdvc", "get", "history.git", "colleague")
    colleague = replace(shell, folder=folder / "colleague", person="Max")
    ours = fingerprints(shell.folder, _STAGES)
    require(fingerprints(colleague.folder, _STAGES) == ours, "the colleague has the same bytes", "")
    comment("\nNothing is left to compute there:")
    ran = _repro(colleague)
    require(not ran, "`dvc repro` runs nothing at the colleague's", ", ".join(ran))
    comment("\nThe colleague does not believe it, and computes two of them again, on one thread:")
    again = [stage for stage, calibrated in _STAGES.items() if calibrated]
    ran = _repro(replace(colleague, threads=1), "--force", "--single-item", *again)
    require(set(ran) == set(again), "`dvc repro --force` runs the stages that it is given", ", ".join(ran))
    theirs = fingerprints(colleague.folder, _STAGES)
    print(f"\n  {'md5 of':<32}{'here':<36}at the colleague's")
    for name, digest in ours.items():
        print(f"  {name:<32}{digest:<36}{theirs[name]}")
    require(theirs == ours, "computed again on another number of threads, each result has the same bytes", "")


def _repro(shell: Shell, *options: str) -> list[str]:
    """Run `dvc repro` and return the stages that were run."""
    return re.findall(r"Running stage '([^']+)'", shell.run("dvc", "repro", *options, lines=12))


def _farewell(folder: Path, seconds: float) -> None:
    chapter(6, "Where to look")
    for place, what in {
        "project/results/*.png": "the pictures; `dvc plots show` puts them on one page",
        "project/raw/*.em.yaml": "the sidecar: the record, the axes, what the vendor wrote",
        "project/dvc.yaml, params.yaml": "the stages and their parameters; edit them, then `dvc repro`",
        "colleague/": "the colleague's copy",
    }.items():
        print(f"  {folder / place!s:<{len(str(folder)) + 34}}{what}")
    print("\nYour own scan:  emdvc init; emdvc add FILE; emdvc steps; emdvc stage add ...; dvc repro")
    print(f"\nEvery promise held. {seconds:.0f} s.")
