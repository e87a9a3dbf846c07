"""Adapters by name. Importing this module imports no adapter: built-ins are registered as `module.Class`."""

from __future__ import annotations

from typing import Any, NamedTuple

from pocket3d.contracts.features import canonical
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN
from pocket3d.contracts.worker_frames import AdapterSpec

from .base import BaseModel
from .catalogue import aliases
from .catalogue.builtin import BUILTIN_ADAPTERS
from .catalogue.class_loading import build, load_class
from .catalogue.entry_points import installed_adapters
from .errors import UnknownAdapter


class _Entry(NamedTuple):
    """One registration: the class, or where it is, and arguments that go with it."""

    target: type[BaseModel] | str
    feature: str | None
    config: dict[str, Any] = {}


class AdapterRegistry:
    """The adapters of this process by id. Registering an id again replaces it."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def register_adapter(self, adapter_id: str, cls: type[BaseModel], feature: str | None = None) -> None:
        """Make a class known.

        Args:
            adapter_id: `[a-z0-9][a-z0-9_.-]{0,63}`.
            cls: the adapter's class.
            feature: what it serves; None for what the instance says.

        Raises:
            ValueError: a bad id.
            TypeError: not a subclass of `BaseModel`.
        """
        if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
            raise TypeError(f"{cls!r} is not a subclass of pocket3d.adapters.base.BaseModel")
        self._add(adapter_id, _Entry(cls, feature))

    def register_by_name(self, adapter_id: str, class_path: str, feature: str | None = None) -> None:
        """Make `module.Class` known; it is imported when an instance is made. Other names of our classes are taken.

        Raises:
            ValueError: a bad id or class path.
        """
        if not all(class_path.rpartition(".")):
            raise ValueError(f"class {class_path!r}: want module.Class")
        target = aliases.of_class(class_path) or aliases.Target(class_path, {})
        self._add(adapter_id, _Entry(target.class_path, feature, target.config))

    def _add(self, adapter_id: str, entry: _Entry) -> None:
        if not ADAPTER_ID_PATTERN.fullmatch(adapter_id):
            raise ValueError(
                f"adapter id {adapter_id!r}: want 1 to 64 of a-z, 0-9, _, . and -, starting with a letter or digit"
            )
        self._entries[adapter_id] = entry if entry.feature is None else entry._replace(feature=canonical(entry.feature))

    def create_adapter_instance(self, adapter_id: str, **config: Any) -> BaseModel:
        """Construct an adapter; its model is not loaded.

        Args:
            adapter_id: a registered id, or another name of one (see `aliases`); under another name the adapter's
                `model_id` is that name.
            config: arguments of its constructor.

        Raises:
            UnknownAdapter: not registered.
            AdapterUnavailable: it cannot be imported or constructed; says why.
        """
        entry = self._entry(adapter_id)
        cls = load_class(entry.target) if isinstance(entry.target, str) else entry.target
        instance = build(cls, adapter_id, {**entry.config, **config})
        instance.registered_id = adapter_id
        if entry.feature is not None:
            instance.feature_type = entry.feature
        return instance

    def spec(self, adapter_id: str, **config: Any) -> AdapterSpec:
        """The specification from which a worker builds the adapter.

        Raises:
            UnknownAdapter: not registered.
        """
        entry = self._entry(adapter_id)
        cls = entry.target
        path = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"
        return AdapterSpec(
            adapter_id=adapter_id, class_path=path, config={**entry.config, **config}, feature=entry.feature
        )

    def adapter_ids(self) -> list[str]:
        """All registered ids, in the order of registration."""
        return list(self._entries)

    def _entry(self, adapter_id: str) -> _Entry:
        entry = self._entries.get(adapter_id)
        if entry is not None:
            return entry
        alias = aliases.ID_ALIASES.get(adapter_id)
        if alias is not None and alias.adapter_id in self._entries:
            ours = self._entries[alias.adapter_id]
            return ours._replace(config={**ours.config, **alias.config, "model_id": adapter_id})
        known = ", ".join(sorted(self._entries)) or "none; call register_all_adapters() first"
        raise UnknownAdapter(f"no adapter {adapter_id!r} is registered; known: {known}")


#: The process's registry.
adapter_registry = AdapterRegistry()


def register_all_adapters(registry: AdapterRegistry | None = None) -> None:
    """Make the built-in adapters and those of installed packages known (in the process's registry by default)."""
    target = adapter_registry if registry is None else registry
    for builtin in BUILTIN_ADAPTERS:
        target.register_by_name(builtin.adapter_id, builtin.class_path, builtin.feature)
    for one in installed_adapters():
        if one.problem is None and "." in one.class_path:
            target.register_by_name(one.adapter_id, one.class_path)
