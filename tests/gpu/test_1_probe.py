"""G1 and G5: driver and CUDA mean the same GPU, and a process sees the one that it is given."""

from __future__ import annotations

from typing import Any

import pytest

from gpu.card import Card, program


@pytest.mark.timeout(60)
def test_g01_driver_and_torch_agree(card: Card, figures: dict[str, Any]) -> None:
    told = program("look_at_gpu", visible=card.uuid)
    figures.update(told)
    assert card.uuid in told["nvml"]
    if not card.real:
        return
    assert told["uuid"] == card.uuid
    # What this process takes beyond torch's pool is its context: the figure that estimates need.
    context = told["nvml_free_before_mb"] - told["nvml_free_mb"] - told["reserved_mb"]
    figures["context_mb"] = context
    assert 0 < context < 2048
    assert abs(told["torch_free_mb"] - told["nvml_free_mb"]) <= 64
    seen = (told["used_by_pid"] or {}).get(str(told["pid"]))
    figures["seen_by_pid_mb"] = seen
    # None or absent: the driver does not tell this process from others, as in many containers.
    assert seen is None or seen == 0 or abs(seen - told["reserved_mb"] - context) <= 64


@pytest.mark.timeout(90)
def test_g05_a_process_sees_what_it_is_given(card: Card, figures: dict[str, Any]) -> None:
    nothing = program("look_at_gpu", visible="")
    wrong = program("look_at_gpu", visible="GPU-00000000-0000-0000-0000-000000000000")
    figures.update(none=nothing["count"], wrong=wrong["count"], said=wrong.get("error"))
    assert (nothing["count"], wrong["count"]) == (0, 0)
    assert wrong["error"]
    if card.real:
        assert program("look_at_gpu", visible=card.uuid)["count"] == 1
