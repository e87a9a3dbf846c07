"""Contracts of other programs that existing clients already speak, as routers upon the gateway's session.

Each facade is three things: what a request asks for (`hunyuan`, `localai`, `meshes`, `aigc`: pure, from bytes to a
`Plan`), what our statuses and results are called there (beside it, or in `aigc_answers`), and its routes. `running`
does what all of them do.
"""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router

from ..session import Session
from .aigc_routes import aigc_router
from .hunyuan_routes import hunyuan_router
from .localai_routes import localai_router
from .meshes_routes import meshes_router


def routers(session: Session) -> Sequence[Router]:
    """The routers of all facades."""
    return (hunyuan_router(session), localai_router(session), meshes_router(session), aigc_router(session))
