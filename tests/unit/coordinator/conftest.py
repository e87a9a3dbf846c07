from __future__ import annotations

import pytest

from support.coordinator_desk import AgentDouble, Desk


@pytest.fixture
def desk() -> Desk:
    """A leader that may award; every event is followed by the engine's own check."""
    return Desk()


@pytest.fixture
def agent() -> AgentDouble:
    return AgentDouble()
