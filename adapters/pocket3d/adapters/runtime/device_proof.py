"""The proof that this process can still use its device: a small allocation, a write, and waiting for all that it began.

After a device-side assert, an illegal access or a lost GPU every further call of the process fails, whatever it is
asked; and errors of kernels come late, so a run that was cancelled in between does not show them. The proof is made
where torch has a CUDA context in this process, and nowhere else: it must not make one.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from .failure_mapping import shortened
from .process_device import cuda_in_use

#: The driver has so long to answer, seconds: less than an agent waits for a cancelled run (`cancel_grace_s`).
PROOF_S = 3.0
_PROOF_BYTES = 1024 * 1024


async def device_problem(timeout_s: float = PROOF_S, *, busy: bool = False) -> str | None:
    """Why this process can use its device no more; None if it can, and where nothing in it uses one.

    A driver that does not answer in time counts as broken; the thread that asked it is left behind.

    Args:
        timeout_s: how long it may take, seconds.
        busy: other runs use the device here. It may be their work that is waited for, so a late answer says nothing;
            if the device hangs, they show it.
    """
    torch = cuda_in_use()
    if torch is None:
        return None
    proof: Future[str | None] = Future()
    # From here on it cannot be cancelled: a late answer finds it as it was.
    proof.set_running_or_notify_cancel()
    threading.Thread(target=_prove, args=(torch, proof), name="device-proof", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(proof), timeout_s)
    except asyncio.TimeoutError:
        return None if busy else f"the device did not answer within {timeout_s:g} s"


def _prove(torch: Any, proof: Future[str | None]) -> None:
    try:
        torch.cuda.synchronize()
        torch.empty(_PROOF_BYTES, dtype=torch.uint8, device="cuda").fill_(1)
        torch.cuda.synchronize()
    except RuntimeError as error:
        proof.set_result(shortened(f"the device fails a small allocation: {error}"))
        return
    proof.set_result(None)
