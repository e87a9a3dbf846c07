"""What fits into one message of the server: reports, answers and adverts are cut to it where something can be left out.

A message that is too large is never sent, so an agent that insists on all of it is not heard at all. What is left out
here is told later (outcomes), or costs the agent a bid or the coordinator a check, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import AnyOutcome, AttemptFailed, CallAnswered
from pocket3d.contracts.messages import Advert

#: Of nats-server, where nothing else is known yet, bytes.
DEFAULT_MAX_PAYLOAD = 1 << 20
#: Kept free for the rest of a report around its outcomes, bytes.
_ENVELOPE = 512
#: Of an advert, generously: an item of its lists, a token, and all that is no list.
_ITEM_BYTES, _TOKEN_BYTES, _REST_BYTES = 1024, 64, 8192


def fit_outcomes(outcomes: Iterable[AnyOutcome], max_payload: int) -> list[AnyOutcome]:
    """The first of them that fit into one report, at least one: the message of that one is cut if it must be."""
    room = max_payload - _ENVELOPE
    taken: list[AnyOutcome] = []
    for outcome in outcomes:
        size = len(encode(outcome)) + 1
        if size > room:
            if taken or not isinstance(outcome, AttemptFailed):
                return taken or [outcome]
            # A character takes one byte or more.
            kept = max(len(outcome.message) - (size - room) - 3, 0)
            return [structs.replace(outcome, message=outcome.message[:kept] + "...")]
        room -= size
        taken.append(outcome)
    return taken


def fit_answer(answer: CallAnswered, max_payload: int) -> CallAnswered:
    """An answer to a call, without as many of its last declines, and then bids, as do not fit."""
    while len(encode(answer)) > max_payload and (answer.declines or answer.bids):
        if answer.declines:
            answer = structs.replace(answer, declines=answer.declines[: len(answer.declines) // 2])
        else:
            answer = structs.replace(answer, bids=answer.bids[: len(answer.bids) // 2])
    return answer


def fit_advert(advert: Advert, max_payload: int) -> tuple[Advert, tuple[str, ...]]:
    """An advert, without the largest JSON Schemas where all of them do not fit, and the ids of the adapters that they
    are missing from: their jobs' parameters are checked by this agent alone. If that is not enough, the last runs that
    have left their devices are counted instead of listed.
    """
    room = max_payload - _ENVELOPE
    left_out: list[str] = []
    if advert.adapters is None and _at_most(advert) <= room:
        return advert, ()
    while (excess := len(encode(advert)) - room) > 0:
        sizes = {a.adapter_id: len(encode(a.parameters)) for a in advert.adapters or () if a.parameters is not None}
        if not sizes:
            break
        # The smallest that is enough, or else the largest.
        enough = [each for each in sizes if sizes[each] >= excess]
        dropped = min(enough, key=sizes.__getitem__) if enough else max(sizes, key=sizes.__getitem__)
        left_out.append(dropped)
        adapters = [
            structs.replace(a, parameters=None) if a.adapter_id == dropped else a for a in advert.adapters or ()
        ]
        advert = structs.replace(advert, adapters=adapters)
    finished = sum(not run.on_device for run in advert.running)
    while finished and len(encode(advert)) > room:
        fewer = (finished + 1) // 2
        finished -= fewer
        advert = structs.replace(advert, running=advert.running[:-fewer], unlisted=advert.unlisted + fewer)
    return advert, tuple(left_out)


def _at_most(advert: Advert) -> int:
    """Bytes of an advert without adapters, or more: encoding each one twice would cost more than all the rest."""
    lists = len(advert.running) + len(advert.residents) + len(advert.devices)
    labels = sum(len(key) + len(value) for key, value in advert.labels.items())
    return _REST_BYTES + lists * _ITEM_BYTES + len(advert.outcomes) * _TOKEN_BYTES + 6 * labels
