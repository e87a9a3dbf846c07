"""Which devices an agent owns: the `--devices` grammar and what it stands for. Pure; probes do the measuring.

    SPEC   = PART ("+" PART)*
    PART   = WHAT ["@" MAX_RUNNING]
    WHAT   = "auto" | "nvml" | "fixed:" MB ("," MB)* | "cpu" [":" MB]

`auto` is every NVML GPU (none is fine) and a CPU lane; `nvml` insists on at least one GPU. `@2` lets at most two jobs
run at once on each device of that part. Sizes are MB (MiB).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from pocket3d.contracts.bounds import decimal

Kind = Literal["cuda", "cpu"]

#: MB kept free on a real GPU: a CUDA context costs several hundred MB that no adapter declares.
NVML_BUFFER_MB = 1024
#: Share of the machine's memory that a CPU lane without a given budget offers; the rest is the machine's own.
CPU_SHARE = 0.5


class DeviceSpecError(ValueError):
    """A `--devices` text is wrong, or what it asks for is not there. The message says what to write instead."""


class DeviceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One device, as it stays for the agent's life. Memory in MB."""

    #: A GPU's (or MIG instance's) UUID, `fixed-0`, `cpu-0`.
    id: str
    #: What adapters are matched with. A simulated device counts as `cuda`.
    kind: Kind
    name: str
    #: What workers can ever have: a GPU's memory without the driver's own share, or the configured budget.
    total_mb: int
    #: Kept free.
    buffer_mb: int
    #: From configuration, not measured: its reading is always `total_mb`.
    simulated: bool = False
    #: The worker's CUDA_VISIBLE_DEVICES; empty hides every GPU.
    visible: str = ""
    #: Jobs at once, all adapters together; None for no cap.
    max_running: int | None = None
    #: CUDA's compute capability, as (12, 0); None where there is none, or nobody can tell.
    capability: tuple[int, int] | None = None

    @property
    def worker_kind(self) -> Kind:
        """What the adapter may really use: on a simulated GPU that is the CPU."""
        return "cpu" if self.simulated else self.kind

    @property
    def budgeted(self) -> bool:
        """True where workers do not show in the measured free memory (simulated devices and the CPU lane).

        There every claim counts as reserved for as long as it is held. False on real GPUs, where a claim stops
        counting as reserved in so far as the probe sees it used.
        """
        return self.simulated or self.kind == "cpu"


class NvmlPart(NamedTuple):
    """Every GPU that NVML shows and CUDA_VISIBLE_DEVICES lets this agent use."""

    required: bool
    max_running: int | None = None


class FixedPart(NamedTuple):
    """Simulated devices of these sizes, MB."""

    sizes_mb: tuple[int, ...]
    max_running: int | None = None


class CpuPart(NamedTuple):
    """The CPU lane; without a budget it takes `CPU_SHARE` of the machine's memory."""

    budget_mb: int | None
    max_running: int | None = None


class DeviceRequest(NamedTuple):
    """What a `--devices` text asks for."""

    nvml: NvmlPart | None
    fixed: tuple[FixedPart, ...]
    cpu: CpuPart | None


def parse_devices(text: str) -> DeviceRequest:
    """Read a `--devices` text.

    Raises:
        DeviceSpecError: it does not follow the grammar, or names the GPUs or the CPU lane twice.
    """
    nvml: NvmlPart | None = None
    fixed: list[FixedPart] = []
    cpu: CpuPart | None = None
    auto_cpu: CpuPart | None = None
    for raw in text.split("+"):
        part = raw.strip()
        what, at, cap_text = part.partition("@")
        cap = _number(cap_text, part, "the number of jobs after @") if at else None
        word, colon, sizes = what.partition(":")
        if word in ("auto", "nvml"):
            if colon:
                raise DeviceSpecError(f"--devices: {part!r}: {word} takes no sizes; write just {word!r}")
            if nvml is not None:
                raise DeviceSpecError(f"--devices: {text!r} names the NVML GPUs twice; keep one of auto and nvml")
            nvml = NvmlPart(required=word == "nvml", max_running=cap)
            if word == "auto":
                auto_cpu = CpuPart(None, cap)
        elif word == "fixed":
            if not sizes:
                raise DeviceSpecError(f"--devices: {part!r} needs sizes in MB, for example fixed:24576,12288")
            numbers = tuple(_number(size, part, "a device's size in MB") for size in sizes.split(","))
            fixed.append(FixedPart(numbers, cap))
        elif word == "cpu":
            if cpu is not None:
                raise DeviceSpecError(f"--devices: {text!r} names the CPU lane twice; there is one, give it one budget")
            budget = _number(sizes, part, "the CPU lane's budget in MB") if colon else None
            cpu = CpuPart(budget, cap)
        else:
            raise DeviceSpecError(
                f"--devices: {part!r} is no device; use auto, nvml, fixed:24576,12288 or cpu:8192, joined by +"
            )
    return DeviceRequest(nvml, tuple(fixed), cpu or auto_cpu)


def _number(text: str, part: str, what: str) -> int:
    """A positive whole number, or an error that shows where."""
    number = decimal(text.strip(), 9)
    if not number:
        raise DeviceSpecError(f"--devices: {part!r}: {what} must be a whole number from 1 to 999999999, not {text!r}")
    return number


def fixed_devices(parts: tuple[FixedPart, ...], memory_buffer: int | None) -> list[DeviceSpec]:
    """The simulated devices, numbered through all parts. `memory_buffer` in MB; None for 0."""
    sizes = [(size, part.max_running) for part in parts for size in part.sizes_mb]
    return [
        DeviceSpec(
            id=f"fixed-{index}",
            kind="cuda",
            name=f"simulated {size} MB",
            total_mb=size,
            buffer_mb=memory_buffer or 0,
            simulated=True,
            max_running=cap,
        )
        for index, (size, cap) in enumerate(sizes)
    ]


def cpu_device(part: CpuPart, memory_mb: int, memory_buffer: int | None) -> DeviceSpec:
    """The CPU lane on a machine with `memory_mb` of memory. `memory_buffer` in MB; None for 0."""
    budget = part.budget_mb if part.budget_mb is not None else int(memory_mb * CPU_SHARE)
    return DeviceSpec(
        id="cpu-0",
        kind="cpu",
        name="CPU lane",
        total_mb=budget,
        buffer_mb=memory_buffer or 0,
        max_running=part.max_running,
    )
