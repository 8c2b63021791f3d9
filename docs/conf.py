"""The site, for Sphinx with MyST-NB: ``bash scripts/site.sh`` builds it into ``site``.

Pages are the Markdown files here, which a code host shows as well. Notebooks are executed. What `_site` adds is made
from the code when the site is built: the configuration reference, the glossary of columns, the Python interface.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import matplotlib  # noqa: E402

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
    "navbar_align": "left",
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_context = {"default_mode": "auto"}
# Formulas need a font with a table of mathematics. Where the reader's system has none there is the one of Matplotlib.
html_static_path = ["_site/qernel.css", f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSerif.ttf"]
html_css_files = ["qernel.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
smartquotes = False  # --exchange is an option
# A code host gives every heading an anchor, whatever its level.
suppress_warnings = ["myst.header"]

# Notebooks run where they stand, one after the other, with one thread; what fails there fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1200
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 120
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "py:obj"
