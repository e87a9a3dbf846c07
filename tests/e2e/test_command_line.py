"""The commands against a real system: what they print, and their exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import Up, command, environment, eventually, pocket3d, up

#: They share a running system: in one process.
pytestmark = pytest.mark.xdist_group("command line")

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("system")
    models = folder / "models.yaml"
    adapters = {
        "failing": {"class": "misbehaving.FailingAdapter", "path": [str(SUPPORT)], "feature": "failing"},
        "broken": {"class": "misbehaving_import.Nothing", "path": [str(SUPPORT)], "feature": "broken"},
        "guide": {"class": "misbehaving.GuideAdapter", "path": [str(SUPPORT)], "feature": "guide"},
    }
    models.write_text(json.dumps({"adapters": adapters}))
    with up(folder / "store", "--models", str(models)) as running:
        yield running


def test_values_are_typed_by_the_adapters_parameters(system: Up) -> None:
    ran = system.run("submit", "echo", "sleep_s=0.01", "n=1", "m:=1", 'o:={"a": [null]}', "--wait", "--json")
    assert ran.json["outputs"]["inputs"] == {"sleep_s": 0.01, "n": "1", "m": 1, "o": {"a": [None]}}
    assert ran.json["status"] == "succeeded"
    assert ran.err == ""


def test_files_are_uploaded_and_come_back_as_references(system: Up, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"not really a cat")
    ran = system.run(
        "submit", "echo", f"image_path={tmp_path / 'cat.png'}", f"x=@{tmp_path / 'cat.png'}", "--wait", "--json"
    )
    inputs = ran.json["outputs"]["inputs"]
    assert inputs["image_path"]["artifact"].startswith("sha256-")
    assert inputs["image_path"]["filename"] == "cat.png"
    assert inputs["x"] == inputs["image_path"]
    assert str(tmp_path) not in ran.out


def test_a_missing_file_is_told_before_anything_is_sent(system: Up) -> None:
    ran = system.run("submit", "echo", "image_path=/nowhere.png")
    assert (ran.code, "/nowhere.png" in ran.err) == (2, True)


def test_waiting_shows_lines_where_there_is_no_terminal(system: Up) -> None:
    ran = system.run("submit", "echo", "--job-id", "shown", "--wait", "--metadata", "order=4711")
    assert ran.code == 0
    assert "shown: queued" in ran.err
    assert "shown: succeeded" in ran.err
    assert "status:   succeeded" in ran.out
    assert system.run("result", "shown", "--json").json["metadata"] == {"order": "4711"}


def test_failed_is_3(system: Up) -> None:
    ran = system.run("submit", "failing", "--wait", "--json", "--max-attempts", "1")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "adapter_error"
    assert system.run("result", ran.json["job_id"]).code == 3
    assert system.run("watch", ran.json["job_id"]).code == 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("text_to_mesh",), "inputs.text_prompt"),
        (("echo", "text=" + "x" * 10_001), "inputs.text"),
        (("echo", 'image_path:="/etc/passwd"'), "inputs.image_path"),
    ],
)
def test_rejected_is_4_and_names_the_field(system: Up, arguments: tuple[str, ...], field: str) -> None:
    ran = system.run("submit", *arguments)
    assert ran.code == 4
    assert field in ran.err
    waited = system.run("submit", *arguments, "--wait", "--json")
    assert waited.code == 4
    assert (waited.json["status"], waited.json["error"]["field"]) == ("rejected", field)


def test_an_unknown_feature_is_rejected_with_a_guess(system: Up) -> None:
    ran = system.run("submit", "image_to_mash", "image_path:=null")
    assert ran.code == 4, ran
    assert "did you mean image_to_mesh" in ran.err


def test_a_feature_that_nobody_serves_is_told_where_its_job_waits(system: Up, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    ran = system.run("submit", "image_to_splat", f"image_path={tmp_path / 'cat.png'}", "--job-id", "splat")
    assert (ran.code, ran.out) == (0, "splat queued\n")
    assert ran.err == "hint: no agent serves image_to_splat now; the job waits for one: `pocket3d explain splat`\n"
    assert system.run("cancel", "splat", "--wait").code == 0


def test_cancelled_is_5(system: Up) -> None:
    process = subprocess.Popen(
        command("submit", "echo", "sleep_s:=60", "--job-id", "endless", "--wait", "--json"),
        env=environment(NATS_URL=system.url),
        stdout=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: "running" in system.run("status", "endless").out, 20, "it runs")
    assert system.run("cancel", "endless", "--wait", "--reason", "enough").out == "endless cancelled\n"
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 5
    assert json.loads(out)["status"] == "cancelled"
    assert "cancelled" in system.run("cancel", "endless").out


def test_expired_is_5_and_says_what_was_missing(system: Up) -> None:
    ran = system.run("submit", "echo", "--vram-mb", "50000", "--schedule-to-start", "0.5", "--wait", "--json")
    assert ran.code == 5
    assert (ran.json["status"], ran.json["error"]["code"]) == ("expired", "no_capacity")


def test_a_wait_that_times_out_is_7_and_the_job_goes_on(system: Up) -> None:
    ran = system.run("submit", "echo", "--vram-mb", "50000", "--job-id", "big", "--wait", "--timeout", "0.5")
    assert ran.code == 7
    assert "job big has no result after 0.5 s; it is queued" in ran.err
    assert system.run("result", "big").code == 7
    explained = system.run("explain", "big", "--json").json
    (reason,) = explained["reasons"]
    assert (reason["code"], reason["need_mb"], reason["short_mb"]) == ("vram_total", 50000, 50000 - reason["have_mb"])
    assert "vram_total" in system.run("explain", "big").out
    assert system.run("cancel", "big", "--wait").code == 0


def test_ctrl_c_while_waiting_leaves_the_job_alone(system: Up) -> None:
    process = subprocess.Popen(
        command("submit", "echo", "sleep_s:=2", "--job-id", "left", "--wait"),
        env=environment(NATS_URL=system.url),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    # Whatever it says first (a quick start is told before the queueing), it waits from then on.
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert first.startswith("left: ")
    assert process.returncode == 130
    assert "Traceback" not in err
    assert system.run("result", "left", "--wait").code == 0


def test_an_unknown_job_is_told(system: Up) -> None:
    for words in (("status",), ("result",), ("explain",), ("cancel",), ("watch",)):
        ran = system.run(*words, "nobody-knows-it")
        assert ran.code == 1
        assert "nobody-knows-it" in ran.err


def test_a_known_id_is_not_a_second_job(system: Up) -> None:
    for _ in range(2):
        ran = system.run("submit", "echo", "n:=1", "--job-id", "twice", "--wait", "--json")
        assert (ran.code, ran.json["outputs"]["inputs"]) == (0, {"n": 1})
    jobs = system.run("jobs", "--json", "--limit", "1000").json_lines
    assert len([each for each in jobs if each["job_id"] == "twice"]) == 1


def test_lists(system: Up) -> None:
    system.run("submit", "echo", "--job-id", "listed", "--tenant", "mine", "--wait")
    table = system.run("jobs", "--tenant", "mine").out.splitlines()
    assert table[0].split()[:5] == ["JOB", "LABEL", "FEATURE", "PRIORITY", "STATUS"]
    assert table[1].split()[0] == "listed" and {"echo", "normal", "succeeded"} <= set(table[1].split())
    assert len(table) == 2
    assert system.run("jobs", "--status", "queued", "--tenant", "mine", "--json").json_lines == []
    agents = system.run("agents", "--adapters").out
    assert "cpu-0" in agents
    assert "broken" in agents
    features = {each["feature"] for each in system.run("features", "--json").json["features"]}
    assert {"echo", "text_to_mesh", "failing"} <= features
    assert "sleep_s" in system.run("features").out


def test_watching_everything_tells_each_message(system: Up) -> None:
    process = subprocess.Popen(
        command("watch", "--json", "--feature", "echo"),
        env=environment(NATS_URL=system.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None and process.stdout is not None
    assert "watching echo" in process.stderr.readline()
    system.run("submit", "echo", "--job-id", "watched", "--wait")
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["type"] == "result" and told[-1]["message"]["job_id"] == "watched":
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert {each["type"] for each in told} >= {"status", "result"}


def test_topology_and_doctor_see_a_healthy_system(system: Up, tmp_path: Path) -> None:
    checked = system.run("topology", "--check")
    assert (checked.code, "as it should be" in checked.out) == (0, True), checked
    changed = system.run("topology", "--check", "--namespace", "other")
    assert changed.code == 1
    assert "stream OTHER_JOBS: missing" in changed.out
    findings = system.run("doctor", "--store", str(tmp_path), "--json").json
    seen = {(finding["check"], finding["level"]) for finding in findings}
    for check in ("python", "nats-server", "store", "devices", "connection", "topology", "coordinator", "adapter echo"):
        assert (check, "ok") in seen, findings
    (connection,) = [finding["text"] for finding in findings if finding["check"] == "connection"]
    assert connection.startswith(f"{system.url} without credentials, max payload ")


def test_topology_sets_a_server_up_and_a_job_can_be_stored_before_anybody_is_there(system: Up) -> None:
    submit = ("submit", "echo", "--namespace", "fresh", "--job-id", "early")
    before = system.run(*submit)
    assert before.code == 6
    assert "`pocket3d topology` sets a server up" in before.err
    assert system.run("topology", "--namespace", "fresh").code == 0
    stored = system.run(*submit)
    assert (stored.code, "no coordinator has taken it yet" in stored.out) == (0, True), stored
    asked = system.run("agents", "--namespace", "fresh")
    assert (asked.code, "no coordinator answered" in asked.err) == (6, True)


def test_the_server_may_be_named_in_every_way_of_the_nats_cli(system: Up, tmp_path: Path) -> None:
    assert pocket3d("agents", "-s", system.url).code == 0
    contexts = tmp_path / "nats" / "context"
    contexts.mkdir(parents=True)
    (contexts / "here.json").write_text(json.dumps({"url": system.url}))
    assert pocket3d("agents", "--context", "here", XDG_CONFIG_HOME=str(tmp_path)).code == 0
    assert pocket3d("agents", NATS_CONTEXT="here", XDG_CONFIG_HOME=str(tmp_path)).code == 0
