"""Contracts of other programs that existing clients already speak, as routers upon the gateway's session."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router

from ..session import Session


def routers(session: Session) -> Sequence[Router]:
    """The routers of all facades."""
    return ()
