"""The base of adapters whose model comes as a program with an HTTP endpoint."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ...errors import JobCancelled
from ..group_memory import GroupMemory
from ..model import UpstreamConfig, UpstreamModel
from .errors import BadAnswer, Overdue, ProgramFailed, failure
from .exchange import Answer, exchange
from .program import Launch, Program, start
from .requests import Request

__all__ = ["ServerConfig", "ServerModel", "Step"]

#: No result of a job is larger.
MOST_ANSWER_BYTES = 2 * 1024**3
_GLB_HEADER = struct.Struct("<4sII")


class Step(NamedTuple):
    """How far a request is, read from a line that the program printed."""

    #: 0..1 of the request to the program; None where nobody knows.
    fraction: float | None
    stage: str
    message: str | None = None


class ServerConfig(UpstreamConfig):
    """The arguments of such an adapter. None is for what its class says."""

    #: The program and its arguments; `{host}` and `{port}` stand for the address that it has to listen on.
    command: Sequence[str] | None = None
    #: Variables for the program, beside those of the worker.
    program_env: Mapping[str, str] = {}
    #: The address that answers with 200 to 299 when the program is ready.
    health_path: str | None = None
    #: Seconds from its start until then.
    start_s: float | None = None
    #: Seconds that a request may take; without it the job's own limit counts.
    answer_s: float | None = None

    def __post_init__(self) -> None:
        if self.command is not None and (
            isinstance(self.command, str) or not self.command or not all(isinstance(each, str) for each in self.command)
        ):
            raise ValueError(f"command {self.command!r}: want a list of texts, the program first")


class ServerModel(UpstreamModel):
    """Starts its program at load, asks it for each request, and ends it at unload. Put it before the feature's base
    class, set `command`, and call `ask` in `_process_request`:

        class BlobAdapter(ServerModel, ImageToMeshModel):
            adapter_id = "blob-image-to-mesh"
            default_vram_mb = 4096
            command = ("/opt/blob/blob-server", "--listen", "{host}:{port}")

            def _process_request(self, inputs):
                response = super()._process_request(inputs)
                request = form("/generate", {"image": self._image_paths(inputs)[0], "seed": str(inputs.get("seed", 1))})
                self.ask(request, Path(response["output_mesh_path"]))
                return finish_mesh(self, response, "generation_info", {})

    The program runs without a shell, in a process group of its own, on a free port of 127.0.0.1 alone; at each start
    it is looked at who listens there. It ends with its worker, however that ends (Linux). Its memory counts as the
    worker's, whose child it is. A request after its end starts it again. Requests go to it one after the other.
    """

    config_type: ClassVar[type[UpstreamConfig]] = ServerConfig
    config: ServerConfig
    #: What `config` has, where it does not say otherwise.
    command: ClassVar[Sequence[str]] = ()
    health_path: ClassVar[str] = "/health"
    start_s: ClassVar[float] = 300.0
    #: True for a program that stops computing when the connection is closed. Others are ended at a cancel, and started
    #: again for the next request: what they compute on would hold the device.
    stops_when_closed: ClassVar[bool] = False
    #: An answer with more bytes is refused.
    most_answer_bytes: ClassVar[int] = MOST_ANSWER_BYTES

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._program: Program | None = None

    # ------------------------------------------------------------ what a subclass may say

    def _command(self) -> list[str]:
        """The program and its arguments."""
        return list(self.config.command or self.command)

    def _environment(self) -> dict[str, str]:
        """The variables of the program."""
        # PYTHONPATH has what the worker needs, and would be found by a program that is Python itself.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**inherited, **self.config.program_env}

    def _line_reader(self) -> Callable[[str], Step | None]:
        """Makes, for one request, what reads its progress from each line that the program prints."""
        return lambda _line: None

    # ------------------------------------------------------------ life

    def check_available(self) -> str | None:
        """Says when the program is not there."""
        command = self._command()
        if not command:
            return "no program is configured: set command in its config in models.yaml"
        if shutil.which(command[0]) is None:
            return f"there is no program {command[0]} that may be run (command)"
        return None

    def _load_model(self) -> Any:
        self._program = self._started(lambda: None)
        return self._program

    def _unload_model(self) -> None:
        program, self._program, self.model = self._program, None, None
        if program is not None:
            program.stop()

    def _started(self, check: Callable[[], None]) -> Program:
        # Its own folder of the worker, or where no worker is, the system's for such files.
        name, *arguments = self._command()
        launch = Launch(
            command=(str(Path(shutil.which(name) or name).absolute()), *arguments),
            environment=self._environment(),
            folder=Path(tempfile.gettempdir()),
            health_path=self.config.health_path or self.health_path,
            start_s=self.config.start_s or self.start_s,
        )
        return start(launch, check)

    # ------------------------------------------------------------ one request

    def ask(self, request: Request, target: Path, *, low: float = 0.05, high: float = 0.95) -> Answer:
        """Send a request to the program and write its answer to `target`. Progress goes from `low` to `high`.

        Raises:
            pocket3d.adapters.errors.JobCancelled: somebody asked for the end of this job.
            OutOfMemoryError: the program says that its device is full.
            ProgramFailed: it ended, does not answer, or its answer is no success.
        """
        with self.turn():
            program = self._ready()
            memory, look = GroupMemory(), self._looks(program)
            run, read = self._run(), self._line_reader()

            def on_line(line: str) -> None:
                step = read(line)
                if step is not None:
                    fraction = None if step.fraction is None else low + (high - low) * min(max(step.fraction, 0.0), 1.0)
                    run.progress(fraction, step.stage, step.message)

            def check() -> None:
                memory.look(program.group)
                look()

            program.on_line = on_line
            self.step(low, "computing")
            try:
                answer = exchange(program.port, request, target, most_bytes=self.most_answer_bytes, check=check)
            except BadAnswer as error:
                raise program.failed(error) from error
            except ProgramFailed as error:
                told = program.failed(error)
                self._end(program)
                raise told from error
            except JobCancelled:
                if not self.stops_when_closed:
                    self._end(program)
                raise
            finally:
                program.on_line = lambda _line: None
                if memory.peak_mb is not None:
                    self.report_vram_peak(memory.peak_mb)
            if answer.status >= 500:
                # Nobody knows what it left on the device.
                self._end(program)
        if not answer.ok:
            raise refused(program, request, answer)
        return answer

    def _ready(self) -> Program:
        program = self._program
        if program is not None and program.ended() is None:
            return program
        if program is not None:
            # What it started may be there still.
            self._end(program)
        self.report_progress(None, "starting the program")
        self._program = self.model = self._started(self.check_cancelled)
        return self._program

    def _end(self, program: Program) -> None:
        self._program = None
        program.stop(kill=True)

    def _looks(self, program: Program) -> Callable[[], None]:
        """What is looked at while the answer is awaited."""
        limit = self.config.answer_s
        ends = None if limit is None else time.monotonic() + limit

        def look() -> None:
            self.check_cancelled()
            program.require_running()
            if ends is not None and time.monotonic() > ends:
                raise Overdue(f"{program.name} did not answer within {limit:g} s (answer_s)")

        return look


def refused(program: Program, request: Request, answer: Answer) -> ProgramFailed:
    """The error for an answer that is no success."""
    said = f": {answer.told}" if answer.told else ""
    more = "; redirects are not followed" if 300 <= answer.status < 400 else ""
    text = f"{program.name} answered {request.method} {request.path} with {answer.status} {answer.reason}{said}{more}"
    return failure(text, program.last_lines if answer.status >= 500 else (), BadAnswer)


def check_glb(path: Path) -> None:
    """Look at the head of a GLB file: what it is, and whether it is whole.

    Raises:
        BadAnswer: it is none, or is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_GLB_HEADER.size)
    if not head.startswith(b"glTF") or len(head) < _GLB_HEADER.size:
        shown = head[:12].decode("ascii", "backslashreplace")
        raise BadAnswer(f"the answer is no GLB file: its {size:,} bytes begin with {shown!r}")
    _magic, version, length = _GLB_HEADER.unpack(head)
    if version != 2 or length != size:
        raise BadAnswer(f"the answer is a broken GLB file: version {version}, {size:,} bytes of {length:,}")
