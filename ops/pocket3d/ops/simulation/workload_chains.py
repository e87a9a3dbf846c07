"""What producers submit as chains and groups, some of them cancelled or tried again."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from pocket3d.contracts.codec import encode
from pocket3d.coordinator.chains.record import ChainKey

_BEHAVIOUR = {"ok": 30, "slow": 4, "crash_once": 2, "error_once": 2, "error": 2}
_TENANTS = ("default", "north", "strict")
_FEATURES = ("echo", "echo", "auto_rig")


class ChainAsk(NamedTuple):
    """One request to `p3d.api.<verb>`."""

    at: float
    key: ChainKey
    verb: str
    body: bytes


def make_chains(rng: random.Random, chains: int, over_s: float) -> list[ChainAsk]:
    """So many chains and groups within so many virtual seconds.

    Args:
        rng: all chance.
        chains: how many.
        over_s: within how many virtual seconds they are submitted.
    """
    asks = []
    for number in range(chains):
        at = rng.uniform(0.0, over_s)
        if number % 4 == 3:
            key = ChainKey("group", f"lot{number}")
            jobs = [{"feature": "echo", "inputs": _inputs(rng), **_policy()} for _ in range(rng.randint(2, 6))]
            body: dict[str, Any] = {"group_id": key.name, "jobs": jobs}
        else:
            key = ChainKey("chain", f"chain{number}")
            body = {"chain_id": key.name, "steps": _steps(rng)}
        body["tenant"] = rng.choice(_TENANTS)
        asks.append(ChainAsk(at, key, key.kind, encode(body)))
        if rng.random() < 0.2:
            asks.append(ChainAsk(at + rng.expovariate(0.3), key, key.kind, encode(body)))
        for verb, chance, latest_s in (("cancel", 0.2, 15.0), ("retry", 0.6, 40.0)):
            if rng.random() < chance:
                asked = {f"{key.kind}_id": key.name}
                later = at + rng.uniform(0.0, latest_s)
                asks.append(ChainAsk(later, key, f"{key.kind}_{verb}", encode(asked)))
    return sorted(asks)


def _steps(rng: random.Random) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for number in range(rng.randint(2, 4)):
        feature = "text_to_mesh" if number == 0 else rng.choice(_FEATURES)
        inputs = {**_inputs(rng), "text_prompt": "a chair"} if number == 0 else _inputs(rng)
        if number:
            inputs["mesh_path"] = {"step": f"s{rng.randrange(number)}"}
        steps.append({"name": f"s{number}", "feature": feature, "inputs": inputs, **_policy()})
    return steps


def _inputs(rng: random.Random) -> dict[str, Any]:
    behave = rng.choices(list(_BEHAVIOUR), list(_BEHAVIOUR.values()))[0]
    seconds = rng.uniform(3.0, 6.0) if behave == "slow" else rng.uniform(0.1, 1.5)
    return {"behave": behave, "seconds": round(seconds, 3), "files": True}


def _policy() -> dict[str, Any]:
    return {
        "limits": {"start_to_close_s": 8.0, "load_s": 8.0},
        "retry": {"max_attempts": 3, "initial_s": 0.5, "factor": 2, "cap_s": 4},
    }
