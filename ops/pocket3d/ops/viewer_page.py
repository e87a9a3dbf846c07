"""One HTML page that shows a mesh without a network: the viewer's script and the file are in it. Pure."""

from __future__ import annotations

import base64
import html
import json

#: What the viewer reads.
SUFFIXES = (".glb", ".obj", ".ply", ".stl", ".splat")

#: Nothing is fetched from anywhere: what the file names elsewhere stays away, too.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src data: blob:; worker-src blob:"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="pocket3d view">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>html, body, #mesh {{ margin: 0; height: 100%; }}</style>
</head>
<body>
<div id="mesh"></div>
<noscript>This page draws the mesh with JavaScript, which is switched off.</noscript>
<script>{script}</script>
<script>
pocket3dViewer.show(document.getElementById("mesh"), {file}).catch((error) => {{
  document.getElementById("mesh").textContent = "The file cannot be shown: " + error.message;
}});
</script>
</body>
</html>
"""


def viewer_page(name: str, data: bytes, script: str) -> str:
    """The page.

    Args:
        name: of the file; its suffix, one of `SUFFIXES`, says how it is read.
        data: the file.
        script: the viewer's: a classic script that sets `pocket3dViewer`.

    Raises:
        ValueError: the script would end its own element.
    """
    if "</script" in script.lower():
        raise ValueError("the viewer's script holds an end of a script element")
    file = json.dumps({"name": name, "base64": base64.b64encode(data).decode()}).replace("<", "\\u003c")
    return _PAGE.format(policy=_POLICY, title=html.escape(name), script=script, file=file)
