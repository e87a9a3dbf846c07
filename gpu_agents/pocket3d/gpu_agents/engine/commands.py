"""Commands of a coordinator: report the state, bid, take attempts, cancel them."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from pocket3d.contracts.clock import Now, may_be_epoch
from pocket3d.contracts.commands import (
    AnyReply,
    Award,
    AwardAnswer,
    AwardJobs,
    AwardsAnswered,
    BidDeclined,
    BidPlaced,
    CallAnswered,
    CallForBids,
    CancelAttempts,
    CancelsNoted,
    CommandRefused,
    Reason,
    StateReported,
)
from pocket3d.contracts.failures import DeclineCode, FailureCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.fit import Shortfall
from pocket3d.contracts.input_files import as_uploads
from pocket3d.contracts.variants import Wish, choices

from ..placement.bidding import Bidder, bid, shortfall_reason
from ..placement.placement import Placement, place
from .effects import Reply, SendBids
from .events import CommandReceived, CommandUnreadable, Request
from .intake import closed
from .message_limits import fit_answer
from .outbound import device_states, full_advert, told_with_start
from .records import StopReason
from .runs import accept, begin_fetches, stop_run
from .state import Core
from .workers import claim_extra, start_if_room, take_worker

#: Longest message of a declined award, characters: it may quote an input.
_MAX_MESSAGE = 1000


def command_received(core: Core, event: CommandReceived, now: Now) -> None:
    """Carry out a command, unless its epoch is older than one seen before or it names another incarnation."""
    command, request = event.command, event.request
    if command.incarnation is not None and command.incarnation != core.identity.incarnation:
        return
    if not may_be_epoch(command.epoch, now.wall):
        # Every leader after it would be refused.
        message = f"epoch {command.epoch} of {command.coordinator_id} is no time at which a coordinator began to lead"
        _refuse(core, request, FailureCode.INVALID_INPUT.value, message)
        return
    if command.epoch < core.fence:
        message = f"epoch {command.epoch} of {command.coordinator_id} is over: {core.fence} has spoken"
        _refuse(core, request, DeclineCode.STALE.value, message)
        return
    core.fence = command.epoch
    if isinstance(command, CallForBids):
        _call(core, command, now)
    elif isinstance(command, AwardJobs):
        _award(core, command, request, now)
    elif isinstance(command, CancelAttempts):
        _cancel(core, command, request, now)
    elif request is None:
        core.changed = core.adapters_changed = True
    else:
        _reply(core, request, StateReported, advert=full_advert(core, now).advert)


def command_unreadable(core: Core, event: CommandUnreadable, now: Now) -> None:
    """Refuse a message that is no command."""
    _refuse(core, event.request, FailureCode.INVALID_INPUT.value, event.message)


def _refuse(core: Core, request: Request | None, code: str, message: str) -> None:
    _reply(core, request, CommandRefused, code=code, message=message, epoch=core.fence)


def _reply(core: Core, request: Request | None, kind: type[AnyReply], **fields: Any) -> None:
    if request is not None:
        core.effects.append(Reply(request, kind(**core.sender(), **fields)))


# ---------------------------------------------------------------- auction


def _call(core: Core, call: CallForBids, now: Now) -> None:
    bids: list[BidPlaced] = []
    declines: list[BidDeclined] = []
    none = closed(core)
    if none is not None:
        reason = Reason(agent_id=core.identity.agent_id, code=none.code.value, message=none.reason)
        declines = [BidDeclined(lot=lot.lot, reasons=[reason]) for lot in call.lots]
    else:
        bidder = Bidder(
            core.identity.agent_id,
            core.adapters,
            core.devices,
            core.estimates,
            core.settings,
            now.mono,
            call.variant_wait_s,
        )
        for lot in call.lots:
            placed, declined = bid(bidder, lot)
            bids += placed
            if declined is not None:
                declines.append(declined)
    answer = CallAnswered(
        **core.sender(),
        call_id=call.call_id,
        bids=bids,
        declines=declines,
        devices=device_states(core, now),
    )
    core.effects.append(SendBids(call.coordinator_id, fit_answer(answer, core.max_payload)))


def _award(core: Core, command: AwardJobs, request: Request | None, now: Now) -> None:
    answers = [_answer(core, award, now) for award in command.awards]
    begin_fetches(core, now)
    if request is not None:
        _reply(core, request, AwardsAnswered, answers=[told_with_start(core, each, now) for each in answers])


def _answer(core: Core, award: Award, now: Now) -> AwardAnswer:
    """Accept or decline an award as the ledger allows. A token that was answered before gets the same answer, whatever
    became of it since: a repeated award, or one whose answer was lost, changes nothing.
    """
    known = core.answers.get(award.token)
    if known is not None:
        return known
    if award.token in core.runs:
        return AwardAnswer(job_id=award.job_id, token=award.token, accepted=True)
    reason = _take(core, award, now)
    answer = AwardAnswer(job_id=award.job_id, token=award.token, accepted=reason is None, reason=reason)
    core.remember(answer)
    return answer


def _take(core: Core, award: Award, now: Now) -> Reason | None:
    agent_id = core.identity.agent_id

    def decline(code: DeclineCode, message: str) -> Reason:
        return Reason(
            agent_id=agent_id,
            device=award.device,
            code=code.value,
            adapter_id=award.adapter_id,
            message=message[:_MAX_MESSAGE],
        )

    none = closed(core)
    if none is not None:
        return decline(*none)
    adapter = core.adapters.get(award.adapter_id)
    if adapter is None:
        return decline(DeclineCode.NO_ADAPTER, f"{award.adapter_id} is not known here")
    if not adapter.available:
        return decline(DeclineCode.ADAPTER_UNAVAILABLE, adapter.reason or "not available")
    if canonical(adapter.feature) != canonical(award.feature):
        return decline(DeclineCode.NO_ADAPTER, f"{award.adapter_id} serves {adapter.feature}, not {award.feature}")
    check = core.checks.of(adapter.parameters)
    problem = check.problem(as_uploads(award.job.inputs)) if check is not None else None
    if problem is not None:
        return structs.replace(decline(DeclineCode.PARAMETERS, problem.message), field=problem.field)
    device = core.devices.get(award.device)
    if device is None:
        return decline(DeclineCode.NO_DEVICE, f"there is no device {award.device} here")
    shut = device.shut(now.mono)
    if shut is not None:
        return decline(*shut)
    vram_mb = award.vram_mb if award.vram_mb is not None else award.job.vram_mb
    variant = award.variant if award.variant is not None else award.job.wanted_variant
    ways = choices(adapter, Wish(variant, vram_mb))
    if not ways:
        return decline(DeclineCode.NO_ADAPTER, f"{award.adapter_id} has no variant {variant} here")
    # A coordinator of an earlier version names none: the best that can start.
    size_class = award.size_class
    tried = [(choice, place(device, adapter, choice, core.estimates, now.mono, size_class)) for choice in ways]
    found = next((found for _, found in tried if isinstance(found, Placement)), None)
    if found is None:
        choice, short = tried[-1]
        assert isinstance(short, Shortfall)
        return shortfall_reason(agent_id, award.device, award.adapter_id, choice.variant, short)
    worker = take_worker(core, device, adapter, found, now)
    run = accept(core, award, worker, found.need_mb, now)
    claim_extra(core, device, run, found, now)
    start_if_room(core, worker, now)
    return None


# ---------------------------------------------------------------- cancel


def _cancel(core: Core, command: CancelAttempts, request: Request | None, now: Now) -> None:
    held: list[str] = []
    unknown: list[str] = []
    for cancel in command.cancels:
        run = core.runs.get(cancel.token)
        if run is not None:
            held.append(cancel.token)
            stop_run(core, run, StopReason(FailureCode.CANCELLED.value, cancel.reason or "cancelled on request"), now)
            continue
        unknown.append(cancel.token)
        if cancel.token not in core.answers:
            # Its award may still come, late or twice: it must not start anything.
            message = "the attempt was cancelled before its award came"
            reason = Reason(agent_id=core.identity.agent_id, code=DeclineCode.STALE.value, message=message)
            core.remember(AwardAnswer(job_id=cancel.job_id, token=cancel.token, accepted=False, reason=reason))
    _reply(core, request, CancelsNoted, held=held, unknown=unknown)
