"""What an agent says of itself, and when."""

from __future__ import annotations

import pytest

from pocket3d.contracts.messages import Advert
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.placement.estimates import Estimates
from support.agent_rig import AgentRig, adapter, fixed, gpu, of, only


def adverts(wanted: list[effects.Effect]) -> list[effects.PublishAdvert]:
    return of(wanted, effects.PublishAdvert)


def test_an_advert_every_second() -> None:
    rig = AgentRig()
    assert len(adverts(rig.pass_time(10, 0.25))) == 10


def test_a_change_is_told_at_once_but_changes_within_the_gap_are_told_together() -> None:
    rig = AgentRig(adapters=[adapter(vram_mb=100, max_concurrent=50)], advert_gap_s=0.02)
    rig.pass_time(0.5)
    before = len(rig.all(effects.PublishAdvert))
    for _ in range(20):
        rig.take()
    told = rig.all(effects.PublishAdvert)[before:]
    assert len(told) == 1
    assert rig.engine.next_deadline(rig.now) == pytest.approx(rig.now.mono + 0.02)
    (second,) = adverts(rig.pass_time(0.02, 0.02))
    assert len(second.advert.running) == 20


def test_a_worker_that_has_started_is_told_at_once() -> None:
    rig = AgentRig()
    rig.take()
    rig.pass_time(1)
    rig.pass_time(0.1)
    (told,) = adverts(rig.tell(events.WorkerReady(rig.worker_ids()[0], 77)))
    assert [run.pid for run in told.advert.running] == [77]


def test_memory_that_a_load_is_promised_is_told_at_once() -> None:
    rig = AgentRig()
    rig.pass_time(1)
    rig.pass_time(0.1)
    (told,) = adverts(rig.tell(events.LoadRequested("alpha", None)))
    assert [device.reserved_mb for device in told.advert.devices] == [6000]


def test_a_model_that_is_loaded_is_told_at_once() -> None:
    rig = AgentRig()
    rig.tell(events.LoadRequested("alpha", None))
    (worker_id,) = rig.worker_ids()
    rig.tell(events.WorkerReady(worker_id, 77))
    rig.pass_time(1)
    rig.pass_time(0.1)
    (told,) = adverts(rig.tell(events.ModelLoaded(worker_id, 2.0, None)))
    assert [(each.adapter_id, each.pid) for each in told.advert.residents] == [("alpha", 77)]


def test_sequence_numbers_rise_with_every_message() -> None:
    rig = AgentRig()
    rig.call()
    rig.take()
    rig.pass_time(3)
    seqs = []
    for effect in rig.log:
        if isinstance(effect, effects.PublishAdvert):
            seqs.append(effect.advert.seq)
        elif isinstance(effect, effects.SendBids):
            seqs.append(effect.answer.seq)
        elif isinstance(effect, effects.SendOutcomes):
            seqs.append(effect.report.seq)
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == len(seqs)


def test_the_adapters_are_told_again_when_their_period_is_over() -> None:
    rig = AgentRig(adapters_s=3.0, advert_s=1.0)
    told = adverts(rig.log) + adverts(rig.pass_time(7))
    assert [each.advert.adapters is not None for each in told] == [True, False, False, True, False, False, True, False]


def test_a_worker_whose_model_is_not_loaded_is_no_resident() -> None:
    rig = AgentRig()
    token = rig.take()
    (worker_id,) = rig.worker_ids()
    rig.tell(events.WorkerReady(worker_id, 77))
    rig.fetch(token)
    rig.pass_time(2)
    told = rig.all(effects.PublishAdvert)[-1].advert
    assert ([each.pid for each in told.running], told.residents) == ([77], [])


def test_a_resident_is_idle_since_its_last_run() -> None:
    rig = AgentRig()
    rig.warm()
    for idle_s in (0.0, 2.5):
        rig.pass_time(idle_s)
        advert = only(rig.tell(events.StatusRequested(1)), effects.Reply).message
        assert isinstance(advert, Advert)
        assert [each.idle_s for each in advert.residents] == [idle_s]


def test_what_is_on_the_devices_is_listed_before_what_is_finished() -> None:
    rig = AgentRig(adapters=[adapter(vram_mb=1000, max_concurrent=4)], finished_in_adverts=1)
    tokens = [rig.take() for _ in range(4)]
    for token in tokens:
        rig.run(token)
    for token in tokens[:2]:
        rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.pass_time(2)
    told = rig.all(effects.PublishAdvert)[-1].advert
    assert [(each.token, each.on_device) for each in told.running] == [
        (tokens[2], True),
        (tokens[3], True),
        (tokens[0], False),
    ]
    assert told.unlisted == 1
    assert rig.call().declines, "one that the coordinator does not see may not be lost: no other is taken"
    rig.tell(events.ResultStored(tokens[0]))
    rig.pass_time(2)
    assert not rig.call().declines


def test_adapters_are_told_on_change_and_every_ten_seconds() -> None:
    rig = AgentRig(adapters_s=10)
    told = adverts(rig.log) + adverts(rig.pass_time(21))
    full = [index for index, effect in enumerate(told) if effect.advert.adapters is not None]
    assert full[0] == 0
    assert len(full) == 3
    wanted = rig.tell(events.AdaptersDescribed((adapter("new"),), {"text_to_mesh": ["new"]}))
    wanted += rig.pass_time(0.1, 0.05)
    advert = adverts(wanted)[0].advert
    assert advert.adapters is not None and [a.adapter_id for a in advert.adapters] == ["new"]
    assert advert.preferred_adapters == {"text_to_mesh": ["new"]}


def test_nothing_is_said_without_a_connection_and_everything_after_it() -> None:
    rig = AgentRig(connected=False)
    assert not adverts(rig.log) and not adverts(rig.pass_time(5))
    assert not adverts(rig.tell(events.Connected()))
    (effect,) = adverts(rig.tell(events.StorageChecked()))
    assert effect.advert.adapters is not None


def test_who_the_agent_is() -> None:
    advert = adverts(AgentRig(labels={"zone": "b"}).log)[0].advert
    assert (advert.agent_id, advert.incarnation, advert.host, advert.pid) == (
        "agent-1",
        "1790000000000-abc",
        "host",
        42,
    )
    assert advert.labels == {"zone": "b"}


def test_devices_residents_and_runs_as_the_ledger_has_them() -> None:
    rig = AgentRig([fixed(20_000), gpu(16_000, buffer_mb=1000)], [adapter(), adapter("beta", 2000)])
    rig.probe({"GPU-0": 15_000}, {"GPU-0": {}})
    warm = rig.warm("beta", pid=8)
    token = rig.take("alpha")
    rig.run(token, pid=9)
    rig.pass_time(4)
    advert = rig.all(effects.PublishAdvert)[-1].advert
    fixed_state, gpu_state = advert.devices
    assert (fixed_state.free_mb, fixed_state.reserved_mb) == (20_000, 8000)
    assert (gpu_state.free_mb, gpu_state.reserved_mb, gpu_state.buffer_mb) == (15_000, 0, 1000)
    beta, alpha = sorted(advert.residents, key=lambda r: -r.idle_s)
    assert (beta.adapter_id, beta.pid, beta.vram_mb) == ("beta", 8, 2000)
    assert 3.0 <= beta.idle_s <= 4.0
    assert (alpha.adapter_id, alpha.pid, alpha.idle_s) == ("alpha", 9, 0.0)
    assert [(r.token, r.pid, r.on_device) for r in advert.running] == [(token, 9, True)]
    assert rig.worker(warm).state.value == "idle"


def test_the_probe_is_asked_once_at_a_time_and_only_for_devices_that_need_it() -> None:
    assert not AgentRig([fixed()]).all(effects.ProbeNow)
    rig = AgentRig([gpu()])
    assert len(rig.all(effects.ProbeNow)) == 1
    assert not of(rig.pass_time(0.5), effects.ProbeNow)
    assert not of(rig.probe({"GPU-0": 16_000}), effects.ProbeNow)
    assert len(of(rig.pass_time(3), effects.ProbeNow)) == 1
    assert len(of(rig.tell(events.ProbeRead({}, rig.now.mono)), effects.ProbeNow)) == 1


def test_the_probe_is_asked_more_often_while_one_of_several_devices_is_to_get_memory_back() -> None:
    rig = AgentRig([fixed(), gpu(), gpu(number=1)], [adapter()], fast_probe_s=0.125)

    def asked() -> int:
        """How often within half a second."""
        before = len(rig.all(effects.ProbeNow))
        for _ in range(4):
            rig.pass_time(0.125, 0.125)
            if rig.engine.core.probing:
                rig.probe({"GPU-0": 10_000, "GPU-1": 16_000}, {"GPU-0": {7: 6000}, "GPU-1": {}})
        return len(rig.all(effects.ProbeNow)) - before

    rig.probe({"GPU-0": 16_000, "GPU-1": 16_000}, {"GPU-0": {}, "GPU-1": {}})
    rig.run(rig.take(device="GPU-0"), pid=7)
    rig.pass_time(1)
    rig.probe({"GPU-0": 10_000, "GPU-1": 16_000}, {"GPU-0": {7: 6000}, "GPU-1": {}})
    assert asked() == 0
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert asked() == 4


def test_estimates_are_medians_and_greatest_peaks_of_the_last_ones() -> None:
    learned = Estimates(3)
    assert learned.load_s("a", "d") is learned.run_s("a", "d") is learned.peak_mb("a", "d") is None
    for load_s in (2.0, 90.0, 3.0):
        learned.loads["a", "d", None].append(load_s)
    assert learned.load_s("a", "d") == 3.0
    for run_s in (1.0, 2.0, 3.0, 4.0):
        learned.runs["a", "d", None].append(run_s)
    assert learned.run_s("a", "d") == 3.0
    for peak in (9000, 5000, 6000):
        learned.peaks["a", "d", None].append(peak)
    assert learned.peak_mb("a", "d") == 9000
    learned.peaks["a", "d", None].append(5500)
    assert learned.peak_mb("a", "d") == 6000
    assert learned.peak_mb("a", "e") is None


def test_what_two_runs_use_together_is_learned_of_neither() -> None:
    """Each would seem to need the memory of both, and the next one more room than there is."""
    rig = AgentRig([gpu(16_000, buffer_mb=1000)], [adapter(max_concurrent=2)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    first = rig.take()
    rig.run(first, pid=7)
    second = rig.take()
    rig.run(second, pid=7)
    rig.probe({"GPU-0": 7000}, {"GPU-0": {7: 9000}})
    for token in (first, second):
        wanted = rig.tell(events.RunFinished(token, {}, (), 1.0, 4000))
        assert of(wanted, effects.StoreResult)[0].result.vram_peak_mb == 4000
        rig.tell(events.ResultStored(token))
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") is None
    third = rig.take()
    rig.run(third, pid=7)
    rig.probe({"GPU-0": 10_000}, {"GPU-0": {7: 6000}})
    rig.finish(third, peak_mb=5000)
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") == 6000, "alone again"


def test_a_crash_of_two_runs_says_nothing_of_the_memory_of_one() -> None:
    rig = AgentRig([gpu(16_000, buffer_mb=1000)], [adapter(max_concurrent=2)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    tokens = [rig.take(), rig.take()]
    for token in tokens:
        rig.run(token, pid=7)
    rig.probe({"GPU-0": 7000}, {"GPU-0": {7: 9000}})
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert [rig.failure(token).vram_peak_mb for token in tokens] == [None, None]


def test_a_probe_sees_the_peak_of_a_worker_with_one_job() -> None:
    rig = AgentRig([gpu(16_000, buffer_mb=1000)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    token = rig.take()
    rig.run(token, pid=7)
    rig.probe({"GPU-0": 7000}, {"GPU-0": {7: 9000}})
    rig.probe({"GPU-0": 10_000}, {"GPU-0": {7: 6000}})
    wanted = rig.tell(events.RunFinished(token, {}, (), 1.0, 8200))
    assert of(wanted, effects.StoreResult)[0].result.vram_peak_mb == 9000
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") == 9000


def test_adverts_say_that_results_are_proposed() -> None:
    rig = AgentRig()
    rig.pass_time(1.0)
    assert {each.advert.proposes for each in of(rig.log, effects.PublishAdvert)} == {True}
