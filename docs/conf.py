"""The settings of Sphinx: pages in Markdown (MyST), the API reference from docstrings. `make docs` builds with them."""

from __future__ import annotations

import re

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from pocket3d.contracts.version import VERSION

project = "Pocket3DStudio"
author = "Pocket3DStudio"
release = VERSION
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Pocket3DStudio {release}"

# -- pages in Markdown

myst_enable_extensions = ["colon_fence"]
#: A heading can be linked to as on GitHub, `page.md#the-heading`; down to the third level.
myst_heading_anchors = 3
#: GitHub draws these fences, and so does the page.
myst_fence_as_directive = ["mermaid"]

# -- docstrings

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True

_CODE = re.compile(r"(?<![:`])`([^`]+)`(?!`)")

# -- links

#: The folder READMEs stay where their code is; on the built pages they are under components/.
_README = re.compile(r"\]\((?:\.\./)+(adapters|bus|contracts|coordinator|gpu_agents|ops)/README\.md(#[\w-]*)?\)")


def _link_components(_: Sphinx, name: str, source: list[str]) -> None:
    """Turn links to a folder's README into links to its page."""
    to_root = "../" * name.count("/")
    source[0] = _README.sub(rf"]({to_root}components/\1.md\2)", source[0])


def _prepare_docstring(_: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn a docstring as people read it into one that napoleon and reST read in the same way."""
    # Docstrings mark code as Markdown does. In two backticks no colon or backslash of it means anything to anybody.
    lines[:] = [_CODE.sub(r"``\1``", line) for line in lines]
    if what in ("attribute", "data", "property"):
        # An empty comment: else napoleon takes what stands before the first line's colon for a type.
        lines[:0] = ["..", ""]
    elif what == "module":
        # An indented block in a module's docstring is an example: code.
        for at in range(len(lines) - 1, 0, -1):
            if lines[at].startswith("    ") and not lines[at - 1] and not (at > 1 and lines[at - 2].startswith(" ")):
                lines[at:at] = ["::", ""]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    # Requests with what their answers must match, in the page of the NATS CLI: tests read them.
    app.add_lexer("nats", TextLexer)
    app.connect("source-read", _link_components)
    # Before napoleon, which has the usual priority of 500.
    app.connect("autodoc-process-docstring", _prepare_docstring, priority=400)
