"""Switching a results stream of a former version to proposals: what stands against it, and the switch itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream.switch import crowded, switch
from pocket3d.bus.port import BusError, Msg, NoResponders
from pocket3d.bus.topology import StreamSpec, Topology
from pocket3d.contracts.api import AgentList, EmptyRequest
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects

T = TypeVar("T")

#: How long adverts are listened for, seconds: each agent sends one a second.
LISTEN_S = 3.0
_TIMEOUT_S = 5.0
#: Subjects that are named; a stream may have more of them.
_NAMED = 10
#: Of the messages on one subject.
_SEQUENCES = 10


class _Service(msgspec.Struct):
    """What a micro service says of itself."""

    metadata: dict[str, Any] = {}


async def switch_results(
    bus: JetStreamBus, subjects: Subjects, topology: Topology, *, only_check: bool = False, listen_s: float = LISTEN_S
) -> list[str]:
    """Switch the results stream, if nothing stands against it (and not only a check is wanted).

    Returns:
        What stands against it, in words; empty if it was switched, could be, or takes proposals already.

    Raises:
        Refused: there is no results stream (10059), or the server does not change it.
        OutcomeUnknown, Disconnected
        BusError: the leader answers what cannot be read.
    """
    (spec,) = (each for each in topology.streams if each.name == subjects.results_stream)
    if subjects.all_proposals() in await bus.stream_takes(spec.name):
        return []
    adverts = await _adverts(bus, subjects, listen_s)
    leader = await _leader(bus, subjects)
    against = [*old_agents(adverts), *old_leader(leader), *await _doubles(bus, spec)]
    if not against and not only_check:
        await switch(bus.reader, spec)
    return against


def old_agents(adverts: Iterable[Advert]) -> list[str]:
    """Of each agent that cannot propose, in words."""
    names = {advert.agent_id: advert.version for advert in adverts if not advert.proposes}
    return [
        f"agent {agent_id} (version {version}) cannot propose its results: upgrade it or stop it"
        for agent_id, version in sorted(names.items())
    ]


def old_leader(metadata: Mapping[str, Any] | None) -> list[str]:
    """Of a leader that cannot propose, in words.

    Args:
        metadata: of its micro service; None if nobody leads.
    """
    if metadata is None or metadata.get("proposes") == "true":
        return []
    return [f"the leading coordinator {metadata.get('coordinator_id', '')} cannot propose results: upgrade it first"]


def doubles(subject: str, sequences: Sequence[int], stream: str) -> str:
    """Of a subject with several messages, in words."""
    listed = ", ".join(map(str, sequences))
    return (
        f"{subject} holds messages {listed}, and the switch would delete all but the last: decide which is the result, "
        f"and remove the others with `nats stream rmm {stream} SEQUENCE`"
    )


async def _adverts(bus: JetStreamBus, subjects: Subjects, listen_s: float) -> list[Advert]:
    """Of the agents that are heard, and of those that the leader knows and that are silent at the moment."""
    heard: list[Advert] = []

    async def hear(msg: Msg) -> None:
        try:
            heard.append(decode(Advert, msg.data))
        except WireError:
            # Not an agent's; the leader tells of such.
            return

    listening = await bus.subscribe(subjects.all_adverts(), hear)
    await asyncio.sleep(listen_s)
    await listening.close()
    try:
        answer = await bus.request(subjects.api("agents"), encode(EmptyRequest()), timeout=_TIMEOUT_S)
    except NoResponders:
        return heard
    # What was heard itself counts: a leader of a former version passes on what it knows alone.
    known = {advert.agent_id for advert in heard}
    return [*heard, *(advert for advert in _read(AgentList, answer).agents if advert.agent_id not in known)]


async def _leader(bus: JetStreamBus, subjects: Subjects) -> Mapping[str, Any] | None:
    try:
        answer = await bus.request(f"$SRV.INFO.{subjects.api_service}", b"", timeout=_TIMEOUT_S)
    except NoResponders:
        return None
    return _read(_Service, answer).metadata


def _read(kind: type[T], answer: Msg) -> T:
    try:
        return decode(kind, answer.data)
    except WireError as error:
        raise BusError(
            f"the leading coordinator's answer cannot be read, so it is not known who is there: {error}"
        ) from error


async def _doubles(bus: JetStreamBus, spec: StreamSpec) -> list[str]:
    found = sorted(await crowded(bus.reader, spec.name, spec.max_msgs_per_subject))
    said = []
    for subject in found[:_NAMED]:
        stored = await bus.pages(spec.name, subject, start=1, limit=_SEQUENCES)
        said.append(doubles(subject, [message.seq for message in stored], spec.name))
    if len(found) > _NAMED:
        said.append(f"{len(found) - _NAMED} more subjects hold several messages")
    return said
