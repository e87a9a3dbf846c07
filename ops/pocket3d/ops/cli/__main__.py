"""`python -m pocket3d.ops.cli`: what `pocket3d up` starts its parts with."""

from __future__ import annotations

from . import main

main()
