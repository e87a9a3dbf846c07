"""Every adapter that this installation knows: built-in, with a recipe, of an installed package, in `models.yaml`.

Read from data and asked of each adapter's interpreter; no adapter is imported here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS, BuiltinAdapter
from pocket3d.adapters.catalogue.entry_points import InstalledAdapter, installed_adapters
from pocket3d.adapters.catalogue.models_yaml import ConfiguredAdapter, builtin_models, load_models_yaml
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec


class KnownAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter, where it comes from, and what it says of itself."""

    adapter: ConfiguredAdapter
    #: `built-in`, `models.yaml`, `recipe` (known, not configured), or the package's name and version.
    source: str
    about: AdapterDescription
    #: Why an agent with this file does not serve it; None if it does.
    reason: str | None = None

    @property
    def adapter_id(self) -> str:
        """Its id."""
        return self.adapter.spec.adapter_id

    @property
    def available(self) -> bool:
        """True if an agent with this file serves it."""
        return self.reason is None

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "adapter_id": self.adapter_id,
            "source": self.source,
            "class": self.adapter.spec.class_path,
            "python": self.adapter.python,
            "feature": self.about.feature,
            "vram_mb": self.about.vram_mb,
            "variants": self.about.variants,
            "max_concurrent": self.about.max_concurrent,
            "devices": self.about.devices,
            "available": self.available,
            "reason": self.reason,
            "license": self.about.license,
            "commercial": self.about.commercial,
            "excluded_territories": self.about.excluded_territories,
            "parameters": self.about.parameters,
        }


def catalogue() -> list[BuiltinAdapter]:
    """Those that come with a recipe for an environment of their own."""
    return [each for each in BUILTIN_ADAPTERS if each.recipe is not None]


async def known_adapters(models: Path | None) -> list[KnownAdapter]:
    """All of them, described.

    `models` is a `models.yaml`; None stands for what an agent has without one.

    Raises:
        ModelsFileError: the file is wrong.
        NamespaceError: Pocket3DStudio's adapters are not installed.
    """
    from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters

    found = await asyncio.to_thread(_find, models)
    described = await describe_adapters(
        [DeclaredAdapter(spec=adapter.spec, python=adapter.python, env=adapter.env) for adapter, _, _ in found]
    )
    return [
        KnownAdapter(adapter=adapter, source=source, about=about, reason=reason or about.reason)
        for (adapter, source, reason), about in zip(found, described, strict=True)
    ]


def _find(models: Path | None) -> list[tuple[ConfiguredAdapter, str, str | None]]:
    """Each adapter, its source, and the reason that is known without asking it."""
    installed = installed_adapters()
    config = load_models_yaml(models, installed) if models else builtin_models(installed)
    off = None if config.auto_load_adapters else "not registered: deployment.auto_load_adapters is false"
    packages = {each.adapter_id: each for each in installed if each.problem is None}
    registered = {each.spec.adapter_id: each for each in builtin_models(installed).declared}
    found: list[tuple[ConfiguredAdapter, str, str | None]] = []
    for adapter in config.declared:
        adapter_id = adapter.spec.adapter_id
        plain = registered.get(adapter_id) == adapter
        found.append((adapter, _source(adapter_id, plain, packages), off))
    named = {adapter.spec.adapter_id for adapter, _, _ in found}
    dropped = "not registered: models.yaml says builtins: false"
    for adapter_id, adapter in registered.items():
        if adapter_id not in named:
            found.append((adapter, _source(adapter_id, True, packages), dropped))
    for entry in catalogue():
        if entry.adapter_id not in named and entry.adapter_id not in registered:
            # It is described all the same, whatever its terms: that starts nothing.
            spec = AdapterSpec(
                adapter_id=entry.adapter_id, class_path=entry.class_path, feature=entry.feature, accept_license=True
            )
            reason = f"not configured: pocket3d adapters install {entry.adapter_id}"
            found.append((ConfiguredAdapter(spec=spec), "recipe", reason))
    for one in installed:
        if one.problem is not None:
            spec = AdapterSpec(adapter_id=one.adapter_id, class_path=one.class_path)
            found.append((ConfiguredAdapter(spec=spec), one.package, one.problem))
    return found


def _source(adapter_id: str, plain: bool, packages: dict[str, InstalledAdapter]) -> str:
    if not plain:
        return "models.yaml"
    return packages[adapter_id].package if adapter_id in packages else "built-in"
