"""The site, for Sphinx with MyST-NB: ``bash scripts/site.sh`` builds it into ``site``.

Pages are the Markdown files here, which a code host shows as well. Notebooks are executed. What `_site` adds is made
from the code when the site is built: the configuration reference, the glossary of columns, the Python interface.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import qernel  # noqa: E402

project = "Qernel"
author = "The Qernel developers"
copyright = author
version = release = qernel.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "_site.columns",
    "_site.configuration",
    "_site.interface",
    "_site.links",
    "_site.mathml",
]
exclude_patterns = ["_site", "Thumbs.db"]
html_theme = "pydata_sphinx_theme"
html_title = "Qernel"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
# A code host gives every heading an anchor, whatever its level.
suppress_warnings = ["myst.header"]

# Notebooks run where they stand, one after the other, with one thread; what fails there fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1200
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "py:obj"
