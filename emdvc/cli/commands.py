"""The commands by name. One line each here, so that ``emdvc --help`` imports none of them."""

from __future__ import annotations

#: Heading -> command -> (module that holds its ``app``, one line of help).
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("emdvc.cli.demo", "The whole path on a simulated or your own scan, with commentary."),
        "init": ("emdvc.cli.init", "Make a folder a project, or complete one."),
        "get": ("emdvc.cli.get", "Clone a project and fetch the data asked for."),
        "doctor": ("emdvc.cli.doctor", "Check the set-up and name each remedy."),
    },
    "Data": {
        "add": ("emdvc.cli.add", "Put a file, a set of files or a Zarr store under version control."),
        "remove": ("emdvc.cli.remove", "Take raw data out of the project, with the reason."),
        "inspect": ("emdvc.cli.inspect", "Show what a dataset is, here or at any revision."),
        "formats": ("emdvc.cli.formats", "List the readers and what each needs."),
        "fields": ("emdvc.cli.fields", "List the fields of the acquisition record."),
    },
    "Processing": {
        "steps": ("emdvc.cli.steps", "List the processing steps, or explain one."),
        "stage": ("emdvc.cli.stage", "Write and update pipeline stages in dvc.yaml."),
        "convert": ("emdvc.cli.convert", "Store a dataset as chunked, compressed Zarr: the same numbers."),
        "run": ("emdvc.cli.run", "Run one step on one input; what a stage calls."),
        "run-notebook": ("emdvc.cli.run_notebook", "Run a notebook and keep the executed copy; what a stage calls."),
        "run-command": ("emdvc.cli.run_command", "Run a program in its environment, recorded; what a stage calls."),
        "repro": ("emdvc.cli.repro", "Compute what is out of date, except what somebody has computed already."),
    },
    "Share": {
        "remote": ("emdvc.cli.remote", "Add, list, check and remove the storage that data is shared through."),
        "pull": ("emdvc.cli.pull", "Fetch data, or the part of a dataset that is looked at."),
        "push": ("emdvc.cli.push", "Send data and records of runs; what is lost or corrupt there is sent again."),
        "lock": ("emdvc.cli.lock", "Tell colleagues that you work on something by hand; list who holds what."),
        "unlock": ("emdvc.cli.unlock", "Give a lock back, or take another's away with a reason."),
        "gc": ("emdvc.cli.gc", "Free disk space of data that no revision needs; shows it first."),
    },
    "History": {
        "status": ("emdvc.cli.status", "What changed, what would be recomputed and why, what is not shared."),
        "diff": ("emdvc.cli.diff", "Compare two revisions as science."),
        "log": ("emdvc.cli.log", "The history of a dataset: who changed what, when, and why."),
        "verify": ("emdvc.cli.verify", "Compute results again and compare, or find corrupt files."),
        "report": ("emdvc.cli.report", "The state of the project for readers: one HTML page, or Markdown."),
        "merge": ("emdvc.cli.merge", "Merge another line of work; what cannot be merged is asked about."),
        "save": ("emdvc.cli.save", "Commit all changes and push data and history."),
        "git": ("emdvc.cli.git", "Let git itself show metadata and chunks in diff, log -p and blame."),
    },
}


def find(name: str) -> tuple[str, str] | None:
    """Return the module and the help line of a command, or None."""
    for section in COMMANDS.values():
        if name in section:
            return section[name]
    return None


def names() -> list[str]:
    """Return the names of all commands, in the order of the help."""
    return [name for section in COMMANDS.values() for name in section]
