"""The command line without a server: help, usage errors, and what is loaded for what."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pocket3d.contracts.version import VERSION
from pocket3d.ops.cli import COMMANDS, cli
from pocket3d.ops.cli.services import ready_lines
from support.command_line import command, environment

#: A port on which nobody listens: reserved, never assigned to a service.
NOBODY = "nats://127.0.0.1:1"


def run(*arguments: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(cli, list(arguments))


def test_help_lists_every_command_and_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.output
    for word in ("0 ok", "2 usage", "3 failed", "4 rejected", "6 no server"):
        assert word in " ".join(result.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: cli {name}" in result.output
    loaded = cli.get_command(click.Context(cli), name)
    assert loaded is not None
    assert loaded.name == name


@pytest.mark.parametrize("arguments", [("-s", NOBODY, "photo-to-textured-mesh"), (f"--server={NOBODY}", "photo.yaml")])
def test_a_chain_takes_options_in_front_of_its_name(arguments: tuple[str, ...]) -> None:
    assert "No such option" not in run("chain", *arguments).output
    assert "photo-to-textured-mesh" in run("chain", "--list").output


CONNECTING = [*sorted(set(COMMANDS) - {"up", "demo", "completion", "adapters", "view", "chain"}), "chain run"]


@pytest.mark.parametrize("name", CONNECTING)
def test_every_command_that_connects_takes_the_options_of_the_nats_cli(name: str) -> None:
    output = run(*name.split(), "--help").output
    for option in ("-s, --server", "--context", "--creds", "--nkey", "--tlscert", "--tlskey", "--tlsca", "--namespace"):
        assert option in output
    # What is on a command line can be read by everybody on the machine.
    assert "--password" not in output


def test_connection_options_take_one_entry_and_doctor_explains_them() -> None:
    lines = run("submit", "--help").output.splitlines()
    folded = [line for line in lines if "--tls" in line or "--creds" in line or "--namespace" in line]
    assert len(folded) == 1
    assert "`pocket3d doctor --help` tells of each" in " ".join("\n".join(lines).split())
    assert "Trust the authority that signed" in " ".join(run("doctor", "--help").output.split())


@pytest.mark.parametrize(
    ("name", "example"),
    [("submit", "pocket3d submit text_to_mesh text_prompt='a red chair'"), ("view", "pocket3d view out/")],
)
def test_the_help_of_a_command_begins_with_examples(name: str, example: str) -> None:
    before, _, _ = run(name, "--help").output.partition("Options:")
    assert example in before


def test_the_ready_line_says_what_to_do_next() -> None:
    assert ready_lines("nats://127.0.0.1:4222", terminal=False) == ["ready nats://127.0.0.1:4222"]
    first, *more = ready_lines("nats://127.0.0.1:4222", terminal=True)
    assert click.unstyle(first) == "ready nats://127.0.0.1:4222" and first != click.unstyle(first)
    assert "pocket3d submit" in more[0] and "Ctrl-C" in more[1]


def test_help_is_quick() -> None:
    """It takes 0.1 s of the processor's time, which other programs do not stretch; six times that is an accident."""
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command("--help"), env=environment(), check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.6, took


def test_help_loads_nothing_but_click() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from pocket3d.ops.cli import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "print(*sorted({'nats', 'rich', 'msgspec', 'structlog', 'yaml', 'torch', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", ["submit", "status", "jobs", "agents"])
def test_commands_of_people_load_neither_the_services_nor_torch(name: str) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from pocket3d.ops.cli import cli;"
        f"assert CliRunner().invoke(cli, ['{name}', '--help']).exit_code == 0;"
        "bad = ('torch', 'trimesh', 'numpy', 'pynvml', 'pocket3d.coordinator', 'pocket3d.gpu_agents');"
        "print(*[each for each in bad if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_a_mistyped_command_is_guessed() -> None:
    result = run("sumbit")
    assert result.exit_code == 2
    assert "Did you mean submit?" in result.output


@pytest.mark.parametrize("arguments", [("status", "j"), ("submit", "echo"), ("topology",)])
def test_without_a_server_the_exit_code_is_6_and_the_message_says_what_to_do(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "-s", NOBODY)
    assert result.exit_code == 6
    assert f"no NATS server at {NOBODY}" in result.output
    assert "`pocket3d up` starts one" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status", "a.b"), "want 1 to 64 of"),
        (("status",), "Missing argument 'JOB_ID'"),
        (("cancel",), "Missing argument 'JOB_ID...'"),
        (("status", "j", "--namespace", "A.b"), "namespace"),
        (("status", "j", "--context", "nobody"), "no NATS context 'nobody'"),
        (("status", "j", "-s", NOBODY, "--creds", "/nowhere"), "/nowhere: no such file"),
        (("jobs", "-s", NOBODY, "--since", "999999d"), "'999999d': want e.g. 30m"),
        (("submit", "echo", "--priority", "urgent"), "urgent"),
        (("topology", "--print", "--set", "replicaz=3"), "there is replicas"),
        (("topology", "--print", "--set", "replicas=2"), "replicas"),
        (("coordinator", "-s", NOBODY, "--set", "policy"), "want field=value"),
        (("agent", "-s", NOBODY, "--devices", "gpu"), "is no device"),
        (("agent", "-s", NOBODY, "--devices", "fixed:"), "needs sizes"),
        (("agent", "-s", NOBODY, "--models", "/nowhere.yaml"), "/nowhere.yaml: cannot be read"),
        (("agent", "-s", NOBODY, "--agent-id", "a.b"), "one subject token"),
        (("up", "--agent-id", "a.b"), "one subject token"),
        (("completion", "tcsh"), "tcsh"),
    ],
)
def test_usage_errors_have_exit_code_2_and_say_what_is_wrong(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    result = run(*arguments, HOME=str(tmp_path))
    assert says in result.output
    assert result.exit_code == 2


def test_the_environment_sets_options() -> None:
    result = run("topology", "--print", POCKET3D_NAMESPACE="farm", POCKET3D_TOPOLOGY_REPLICAS="3")
    assert '"name":"FARM_JOBS"' in result.output
    assert '"num_replicas":3' in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_POCKET3D_COMPLETE" in result.output


def test_commands_complete() -> None:
    env = environment(_POCKET3D_COMPLETE="bash_complete", COMP_WORDS="pocket3d su", COMP_CWORD="1")
    done = subprocess.run(command(), env=env, capture_output=True, text=True, check=False)
    assert "submit" in done.stdout


def test_the_version() -> None:
    assert run("--version").output == f"pocket3d {VERSION}\n"


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found = [(name, cli.get_command(context, name)) for name in COMMANDS]
    group = dict(found)["adapters"]
    assert isinstance(group, click.Group)
    found += [(f"adapters {name}", group.get_command(context, name)) for name in group.list_commands(context)]
    return [(name, command) for name, command in found if command is not None]


@pytest.mark.parametrize(("name", "command"), all_commands(), ids=[name for name, _ in all_commands()])
def test_help_is_told_in_sentences(name: str, command: click.Command) -> None:
    """What an option does begins with a verb and ends with a full stop; defaults may follow in brackets."""
    assert len(all_commands()) == len(COMMANDS) + 6
    for option in command.params:
        if isinstance(option, click.Option):
            text = (option.help or "").partition("  [")[0]
            assert text.endswith(".") and text[0].isupper(), f"{name} {option.opts[0]}: {option.help!r}"
            first = text.split()[0]
            assert first not in ("Of", "Its", "In", "Our", "A", "An", "At", "Also", "1", "Told", "Where", "What")
            assert first not in ("Default:", "File", "Folder", "Longest", "Comes", "Kept"), f"{name}: {text!r}"
    doc = (command.help or "").strip()
    assert doc.split()[0] in {
        *(
            "Add",
            "Cancel",
            "Check",
            "End",
            "Follow",
            "List",
            "Make",
            "Prepare",
            "Serve",
            "Print",
            "Remove",
            "Run",
            "Say",
            "See",
            "Show",
        ),
        *("Start", "Submit", "Turn", "Write"),
    }, f"{name}: {doc!r}"


def test_tools_over_http_on_a_port_that_is_taken_are_refused() -> None:
    pytest.importorskip("mcp")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("mcp", "--http-port", str(port))
    assert (told.exit_code, f"--http-port {port}: that port is taken" in told.output) == (2, True)
