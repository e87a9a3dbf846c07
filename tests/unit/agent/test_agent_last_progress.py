"""The last thing that a run says of its progress is told, however soon the run ends after it."""

from __future__ import annotations

from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, of


def test_what_was_held_back_is_told_when_the_run_ends() -> None:
    rig = AgentRig(progress_gap_s=0.1)
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunProgressed(token, 0.9, "almost"))
    assert not of(rig.tell(events.RunProgressed(token, 1.0, "done")), effects.PublishProgress)
    ended = rig.tell(events.RunFinished(token, {"success": True}, (), 0.05))
    assert [e.progress.fraction for e in of(ended, effects.PublishProgress)] == [1.0]
    assert not of(rig.pass_time(1), effects.PublishProgress)
