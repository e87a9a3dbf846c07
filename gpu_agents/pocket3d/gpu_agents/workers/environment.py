"""What a child process of the agent finds around it: its environment variables and Pocket3DStudio on its path."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pocket3d.contracts.worker_frames import JOURNAL_VARIABLE

#: What a worker imports of Pocket3DStudio.
_COMPONENTS = ("contracts", "adapters")
#: The agent's own: server addresses and credentials, and settings that would change what another interpreter imports.
_PRIVATE_PREFIXES = ("NATS_", "POCKET3D_")
#: What schedulers and launchers of many processes tell each of theirs: a model that finds it (Lightning, accelerate,
#: torch.distributed, MPI) waits for its peers, which are not there.
_LAUNCHER_PREFIXES = ("SLURM_", "TORCHELASTIC_", "ACCELERATE_", "OMPI_", "PMI_", "PMIX_", "MPI_", "LSB_", "JSM_")
_LAUNCHER = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE"}
_LAUNCHER |= {"ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"}
_PRIVATE = {"PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"}


class NamespaceError(RuntimeError):
    """A part of Pocket3DStudio that workers need is not installed next to the agent."""


def link_namespace(folder: Path) -> Path:
    """Make `folder` an import root that holds `pocket3d.contracts` and `pocket3d.adapters` and nothing else.

    A checkout keeps them in folders of their own, but an installed wheel keeps them among all the other packages of
    the agent's environment, which must not reach an interpreter with other versions (another torch). Hence links.

    Raises:
        NamespaceError: one of them cannot be found.
    """
    namespace = folder / "pocket3d"
    namespace.mkdir(parents=True, exist_ok=True)
    for component in _COMPONENTS:
        # Looks the package up without importing it: an agent never imports adapters.
        found = importlib.util.find_spec(f"pocket3d.{component}")
        places = list(found.submodule_search_locations or []) if found else []
        if not places:
            raise NamespaceError(f"pocket3d.{component} is not installed beside pocket3d.gpu_agents; reinstall it")
        link = namespace / component
        target = Path(places[0]).resolve()
        if not link.is_symlink() or link.resolve() != target:
            # Several workers start at once, and agents may share the folder: put in place in one step.
            made = namespace / f".{component}-{secrets.token_hex(4)}"
            made.symlink_to(target, target_is_directory=True)
            made.replace(link)
    return folder


def interpreter(python: str | None) -> str:
    """The interpreter to run: the named one, or the agent's own."""
    return python or sys.executable


def child_environment(
    base: Mapping[str, str],
    *,
    python: str,
    namespace: Path,
    env: Mapping[str, str],
    path: Iterable[str],
    visible: str,
) -> dict[str, str]:
    """The environment of a worker.

    Args:
        base: the agent's own; its NATS_* and POCKET3D_* variables, Python settings, and what a scheduler of many
            processes told it (SLURM_*, RANK, MASTER_ADDR, ...) are left out.
        python: the interpreter; tools beside it (ninja, blender) are found first on PATH.
        namespace: from `link_namespace`.
        env: of the adapter.
        path: further import folders of the adapter.
        visible: CUDA_VISIBLE_DEVICES.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name == JOURNAL_VARIABLE
        or (name not in _PRIVATE | _LAUNCHER and not name.startswith(_PRIVATE_PREFIXES + _LAUNCHER_PREFIXES))
    }
    if os.sep in python:
        kept["PATH"] = os.pathsep.join(part for part in (str(Path(python).parent), kept.get("PATH", "")) if part)
    kept.update(env)
    roots = [str(namespace), *path, *env.get("PYTHONPATH", "").split(os.pathsep)]
    kept["PYTHONPATH"] = os.pathsep.join(root for root in roots if root)
    # Prints of the model reach the log when they are made, also those before a crash.
    kept.setdefault("PYTHONUNBUFFERED", "1")
    kept["CUDA_VISIBLE_DEVICES"] = visible
    return kept
