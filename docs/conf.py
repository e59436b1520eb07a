"""Sphinx configuration. The reference pages are written from the code when the documentation is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference_from_code

from emdvc import __version__

project = "emdvc"
copyright = "the emdvc developers"
release = version = __version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_type_aliases = {"NDArray": "NDArray"}
autosummary_generate = False  # numpydoc brings autosummary along
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# the documentation is built without a network, so other projects' pages are not linked: names outside emdvc stay plain
nitpick_ignore_regex = [("py:.*", r"(?!emdvc\.).*")]

html_theme = "furo"
html_title = f"emdvc {__version__}"
html_static_path = ["_static"]
html_css_files = ["emdvc.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx looks for them."""
    reference_from_code.write(Path(app.srcdir) / "reference" / "generated")
