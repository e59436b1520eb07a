"""``python -m emdvc`` is ``emdvc``."""

from emdvc.cli.main import run

run()
