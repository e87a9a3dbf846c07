"""Describes adapters without loading them. Runs in the adapters' own interpreter.

The class is imported and an object built, because the declared requirement comes from the constructor's arguments; no
weights are touched.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.contracts.features import FEATURE_PATTERN, canonical
from pocket3d.contracts.version import VERSION
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec

from ..base import BaseModel, set_process_device
from ..catalogue.class_loading import build, check_license, extend_path, load_class, offered_variants
from ..errors import AdapterUnavailable
from ..licenses import License
from .failure_mapping import message_of

DEVICE_KINDS = ("cuda", "cpu")
_REASON_CHARS = 500
_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}


def describe_all(specs: list[AdapterSpec]) -> list[AdapterDescription]:
    """Describe each adapter, in the given order; one that fails is described as unavailable, with its reason."""
    # No GPU is given to this process, and asking torch would import it.
    set_process_device("cpu")
    return [describe(spec) for spec in specs]


def describe(spec: AdapterSpec) -> AdapterDescription:
    """Describe one adapter; see `describe_all`."""
    path_before = list(sys.path)
    facts: dict[str, Any] = {"feature": canonical(spec.feature) if spec.feature else "unknown"}
    try:
        extend_path(spec.path)
        reason = _examine(spec, facts)
    except AdapterUnavailable as error:
        reason = message_of(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # foreign schemas and checks may raise anything
        reason = f"it cannot be described: {message_of(error)}"
    finally:
        sys.path[:] = path_before
    if reason is not None:
        reason = " ".join(reason.split())[:_REASON_CHARS]
    return AdapterDescription(adapter_id=spec.adapter_id, available=reason is None, reason=reason, **facts)


def _examine(spec: AdapterSpec, facts: dict[str, Any]) -> str | None:
    """Fill `facts` as far as it gets; the reason why it is not available, or None."""
    cls = load_class(spec.class_path)
    facts["version"] = version_of(cls, spec)
    if spec.feature is None:
        facts["feature"] = _feature(cls.default_feature)
    devices = list(cls.devices if spec.devices is None else spec.devices)
    if not devices or not set(devices) <= set(DEVICE_KINDS):
        raise AdapterUnavailable(f"devices {devices!r}: want some of {', '.join(DEVICE_KINDS)}")
    facts["devices"] = devices
    _take_terms(cls, cls.license_info, facts)
    adapter = build(cls, spec.adapter_id, spec.config)
    # Its configuration may leave out what a term is about.
    _take_terms(cls, adapter.license_info, facts)
    facts["feature"] = _feature(spec.feature or adapter.feature_type)
    facts["vram_mb"] = int(adapter.vram_requirement)
    facts["idle_vram_mb"] = adapter.idle_vram_mb
    variants = offered_variants(spec, adapter.variants)
    if variants:
        facts["variants"] = variants
        facts["vram_mb"] = min(each.vram_mb for each in variants)
    facts["max_concurrent"] = int(adapter.max_concurrent)
    schema = as_json_schema(adapter.get_parameter_schema())
    # Whatever JSON cannot carry (tuples become lists) fails here and not in the answer of all.
    facts["parameters"] = None if schema is None else msgspec.json.decode(msgspec.json.encode(schema))
    # Only now: what it needs and takes is worth knowing before its licence is accepted.
    check_license(cls, spec)
    return adapter.check_available()


def version_of(cls: type[BaseModel], spec: AdapterSpec) -> str:
    """Our version, and a digest of the module that has the class and of the configuration: the same inputs make the
    same as long as it stays. What else the module imports, and weights that are replaced in their place, it cannot see.
    """
    digest = hashlib.sha256(msgspec.json.encode((spec.class_path, spec.config), order="deterministic"))
    try:
        source = inspect.getsourcefile(cls)
        digest.update(Path(source).read_bytes() if source is not None else b"")
    except (TypeError, OSError):
        # It was built in, or its source is not there.
        digest.update(b"")
    return f"{VERSION}+{digest.hexdigest()[:12]}"


def _take_terms(cls: type[BaseModel], terms: License | None, facts: dict[str, Any]) -> None:
    if terms is not None:
        facts["license"] = msgspec.json.decode(msgspec.json.encode(terms))
        facts["commercial"] = terms.commercial
        facts["excluded_territories"] = list(terms.excluded_territories)
    elif cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
        # Part of this very package, under its licence.
        facts["commercial"] = "yes"


def _feature(name: str) -> str:
    if not FEATURE_PATTERN.fullmatch(name):
        raise AdapterUnavailable(f"feature {name!r}: want 1 to 48 of a-z, 0-9 and _")
    return canonical(name)


def as_json_schema(declared: dict[str, Any] | None) -> dict[str, Any] | None:
    """Take a JSON Schema as it is, and turn `{"parameters": {name: {type, default, minimum, maximum, enum,
    description, required}}}`, the other form in use, into one. That form lists options only, so it allows further keys.

    Raises:
        ValueError: neither form.
    """
    if declared is None:
        return None
    if not isinstance(declared, dict):
        raise ValueError(f"get_parameter_schema() returned {type(declared).__name__}, want a dict or None")
    listed = declared.get("parameters")
    if not isinstance(listed, dict):
        if declared.get("type", "object") != "object":
            raise ValueError("get_parameter_schema() must describe an object: the inputs")
        return declared
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, facts in listed.items():
        if not isinstance(facts, dict):
            raise ValueError(f"get_parameter_schema(): parameters.{name} is {type(facts).__name__}, want a dict")
        rest = dict(facts)
        if rest.pop("required", False) is True:
            required.append(name)
        kind = rest.get("type")
        if isinstance(kind, str):
            rest["type"] = _TYPES.get(kind, kind)
        properties[name] = rest
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": True}
    if required:
        schema["required"] = required
    return schema
