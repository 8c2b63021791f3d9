"""Links from pages into the rest of the repository: on the site they become the path, in code.

On a code host they lead to the file, so pages keep them. `PAGES` of the repository are pages of the site too.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]

PAGES = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""Pages that the site takes from the root of the repository."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def outward(text: str, source: str, page: str) -> str:
    """Markdown with links that lead to pages of the site or nowhere.

    >>> outward("see [the record](../studies/n6/scan)", "docs/running.md", "running")
    'see the record (`studies/n6/scan`)'
    >>> outward("see [versions](../../CONTRIBUTING.md#versions)", "docs/results/n6.md", "results/n6")
    'see [versions](../contributing.md#versions)'
    >>> outward("see [errors](docs/errors.md#far) and [`LICENSE`](LICENSE)", "CONTRIBUTING.md", "contributing")
    'see [errors](errors.md#far) and `LICENSE`'

    Args:
        text: Markdown.
        source: the file it stands in, from the root of the repository.
        page: the name of its page on the site.
    """
    own = {file: f"docs/{name}.md" for name, file in PAGES.items()}
    here = posixpath.dirname(f"docs/{page}")

    def replaced(match: re.Match[str]) -> str:
        words, target, anchor = match.groups("")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        path = own.get(path, path)
        if path.startswith("docs/"):
            return f"[{words}]({posixpath.relpath(path, here)}{anchor})"
        return f"`{path}`" if words.strip("`") == path else f"{words} (`{path}`)"

    return _LINK.sub(replaced, text)


def _read(app: Sphinx, page: str, text: list[str]) -> None:
    source = f"docs/{page}.md"
    if page in PAGES:
        source = PAGES[page]
        app.env.note_dependency(ROOT / source)
        text[0] = (ROOT / source).read_text("utf-8")
    text[0] = outward(text[0], source, page)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the change of sources."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
