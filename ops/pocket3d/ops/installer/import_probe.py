"""Run as a file by a model's interpreter: imports modules one by one, and tells of each what happened.

One argument: `{"modules": [...]}` as JSON. Each line of its own on stdout begins with MARK, as modules print too: first
`{"importing": name}`, then `{"module": name, "error": text or null}`; at the end `{"torch": facts}` where torch was
imported. Nothing of Pocket3DStudio is imported here: the interpreter may not have it.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

MARK = "pocket3d-import "
#: Packages that compile without a GPU to a build for the CPU alone, and say so by `cuda_version`, -1 then.
_CPU_ALONE = ("torch_scatter", "torch_cluster", "torch_sparse")


def tell(**said: Any) -> None:
    """One line to the parent."""
    sys.stdout.write(f"\n{MARK}{json.dumps(said)}\n")
    sys.stdout.flush()


def main() -> None:
    """Import all that is named."""
    names = json.loads(sys.argv[1])["modules"]
    for name in names:
        tell(importing=name)
        try:
            importlib.import_module(name)
            error = None
        except BaseException as raised:  # noqa: BLE001  # foreign code, which raises nearly anything, SystemExit too
            error = f"{type(raised).__name__}: {raised}"
        tell(module=name, error=error)
    if "torch" in names and "torch" in sys.modules:
        tell(torch=torch_facts(sys.modules["torch"], [name for name in _CPU_ALONE if name in names]))


def torch_facts(torch: Any, compiled: list[str]) -> dict[str, Any]:
    """What torch is built for, the GPUs that it sees, and the packages of `compiled` that have no CUDA code."""
    gpus = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            major, minor = torch.cuda.get_device_capability(index)
            gpus.append([torch.cuda.get_device_name(index), f"{major}.{minor}"])
    without = []
    for name in compiled:
        build = getattr(getattr(torch.ops, name, None), "cuda_version", None)
        if build is not None and build() == -1:
            without.append(name)
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "architectures": list(torch.cuda.get_arch_list()),
        "gpus": gpus,
        "without_cuda": without,
    }


if __name__ == "__main__":
    main()
