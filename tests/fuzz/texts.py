"""What people write: words of the command line, settings, addresses, contexts, devices, schemas, `models.yaml`."""

from __future__ import annotations

import json
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from pocket3d.adapters.catalogue.models_yaml import ModelsFileError, load_models_yaml
from pocket3d.adapters.catalogue.parent_yaml import convert_parent_models
from pocket3d.bus.connect import ConnectError, resolve
from pocket3d.bus.topology import TopologySettings
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.parameters import ParameterCheck, ParameterProblem
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.devices.spec import DeviceSpecError, parse_devices
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.ops import settings
from pocket3d.ops.inputs import InputError, parse_inputs
from pocket3d.ops.terminal_text import printable

from . import values
from .messages import refused

_KEYWORDS = (
    "type", "properties", "required", "additionalProperties", "patternProperties", "pattern", "enum", "const", "anyOf",
    "allOf", "oneOf", "not", "$ref", "$defs", "$id", "$anchor", "$dynamicRef", "items", "prefixItems", "contains",
    "minItems", "maxLength", "minimum", "multipleOf", "uniqueItems", "dependentSchemas", "if", "then", "format",
    "propertyNames", "unevaluatedProperties", "default",
)  # fmt: skip
_PATTERNS = (
    "^(a+)+$",
    "(a|aa)*$",
    "a{1,99999999999}",
    "[",
    "(?=a)b",
    "\\",
    "^[a-z]+$",
    "a*a*a*b",
    "\\S",
    "(?P<x>a)(?P=x)",
)
_YAML = (
    "2026-02-30", "!!int x", "!!bool x", "!!binary é", "!!set x", "&a [*a]", "*a", "{<<: *a}", "~", ".nan", "0x", "1_0",
    '"\\0"', '"\\ud800"', "!!python/name:os.system", "[[[", "{a: b", "- ", "'", "|", "? [a]", "~nobody/x", "A=B",
    "99999999999999999999", "m.C", "[cuda]", "true", '{NAME: "a\\0b"}', "{A=B: x}", '["a\\0b"]', '{NAME: "\\ud800"}',
)  # fmt: skip
_MODELS = """adapters:
  a: &a
    class: "m.C"
    config: {steps: 5, path: x}
    env: {NAME: value}
    python: /usr/bin/python3
    path: [thirdparty/X]
    devices: [cuda, cpu]
    feature: text_to_mesh
    accept_license: true
  b: *a
builtins: true
deployment:
  auto_load_adapters: true
  preferred_adapters: {text_to_mesh: [a, b]}
"""
_FORMER = """text_to_textured_mesh:
  trellis_text_to_textured_mesh: {vram_requirement: 11776, model_path: thirdparty/TRELLIS, max_workers: 2}
image_to_raw_mesh:
  x: {enabled: true, supported_inputs: ["image"]}
"""


def odd_text(dice: random.Random) -> str:
    """A text that a shell can pass on: half of a surrogate pair stands for a byte that is no UTF-8."""
    text = values.text(dice)
    return text + "\udcff" if dice.random() < 0.1 else text


def schema(dice: random.Random, depth: int = 3) -> Any:
    """What an adapter calls a schema."""
    if depth == 0 or dice.random() < 0.1:
        return values.anything(dice, 1)
    made: dict[str, Any] = {}
    for keyword in dice.sample(_KEYWORDS, dice.randrange(5)):
        how = dice.randrange(6)
        if keyword in ("properties", "$defs", "patternProperties", "dependentSchemas") and how:
            names = _PATTERNS if keyword == "patternProperties" else ("a", "b")
            made[keyword] = {dice.choice(names): schema(dice, depth - 1) for _ in range(2)}
        elif keyword in ("anyOf", "allOf", "oneOf", "prefixItems") and how:
            made[keyword] = [schema(dice, depth - 1) for _ in range(dice.choice((1, 2, 40)))]
        elif keyword == "pattern" and how:
            made[keyword] = dice.choice(_PATTERNS)
        elif keyword in ("$ref", "$dynamicRef") and how:
            made[keyword] = dice.choice(
                ("#", "#/$defs/a", "#/$defs/b", "#x", "http://[::1", "http://127.0.0.1:1/x", "")
            )
        elif keyword == "type" and how:
            made[keyword] = dice.choice(("object", "string", "integer", "number", "array", ["null", "string"]))
        elif how > 2:
            made[keyword] = schema(dice, depth - 1)
        else:
            made[keyword] = values.anything(dice, 1)
    return made


def parameters(dice: random.Random) -> None:
    """An adapter's schema judges inputs, or is refused as a `ValueError`; nothing takes long."""
    declared = schema(dice)
    if dice.random() < 0.2:
        declared = {"properties": {"a": {"pattern": dice.choice(_PATTERNS)}, "b": declared}}
    check = refused(partial(ParameterCheck, declared if isinstance(declared, dict) else {"a": declared}), ValueError)
    if check is not None:
        for value in (values.anything(dice), "a" * 5000 + "b", {"a": "a" * 40 + "b"}):
            found = check.problem({"a": value, "b": values.anything(dice, 1)})
            assert found is None or (isinstance(found, ParameterProblem) and found.message)


def words(dice: random.Random) -> None:
    """Words of `pocket3d submit`."""
    keys = ("a", "b", "image_path", "image_paths", odd_text(dice))
    given = [dice.choice(keys) + dice.choice(("=", ":=", "=@", "")) + odd_text(dice) for _ in range(dice.randrange(4))]
    if dice.random() < 0.1:
        given.append("c:=" + dice.choice(("[", '{"a":')) * dice.choice((10, 100_000)))
    told = refused(partial(parse_inputs, given, [schema(dice) for _ in range(2)]), InputError)
    assert told is None or isinstance(told, dict)
    shown = printable("".join(given), "")
    assert shown.isprintable() or not shown


def setting(dice: random.Random) -> None:
    """Settings by flag and by variable."""
    kind, part = dice.choice(
        ((AgentSettings, "agent"), (CoordinatorSettings, "coordinator"), (TopologySettings, "topology"))
    )
    names = getattr(kind, "__struct_fields__", None) or tuple(kind.__dataclass_fields__)
    name = dice.choice((*names, odd_text(dice)))
    value = dice.choice((odd_text(dice), str(dice.choice(("nan", "null", 5, "[" * 50_000, '{"a":')))))
    pairs = [dice.choice((f"{name}={value}", name, value))]
    environ = {f"POCKET3D_{part.upper()}_{name.upper()}": value} if dice.random() < 0.5 else {}
    refused(partial(settings.read, kind, part, environ, pairs), settings.SettingsError)
    refused(partial(settings.state_folder, {"POCKET3D_STATE": odd_text(dice) or "~x"}), settings.SettingsError)


def address(dice: random.Random) -> None:
    """Addresses and contexts of the nats CLI; passwords are never told."""
    url = dice.choice(("nats://h:4222", "tls://u:HUNTER2@h:1", "nats://[::1]:1", "ws://h/x", odd_text(dice)))
    if dice.random() < 0.7:
        url = values.spoilt(url.encode("utf-8", "surrogateescape"), dice).decode("utf-8", "surrogateescape")
    body: dict[str, Any] = {
        key: dice.choice((odd_text(dice), values.anything(dice, 1)))
        for key in dice.sample(("url", "creds", "nkey", "ca", "cert", "inbox_prefix", "tls_first", "user"), 3)
    }
    with tempfile.TemporaryDirectory() as folder:
        contexts = Path(folder) / "nats" / "context"
        contexts.mkdir(parents=True)
        written = values.as_json(body, dice)
        if dice.random() < 0.3:
            written = values.spoilt(written, dice)
        (contexts / "c.json").write_bytes(written)
        environ = {"XDG_CONFIG_HOME": folder}
        for call in (partial(resolve, url, environ=environ), partial(resolve, context="c", environ=environ)):
            try:
                call().client_settings()
            except ConnectError as error:
                assert str(error) and not ("HUNTER2@" in url and "HUNTER2" in str(error))


def devices(dice: random.Random) -> None:
    """`--devices`, and numbers in texts."""
    text = dice.choice(("auto", "nvml", "fixed:24576,12288+cpu:8192", "cpu", odd_text(dice)))
    if dice.random() < 0.7:
        text = values.spoilt(text.encode("utf-8", "replace"), dice).decode("utf-8", "replace")
    refused(partial(parse_devices, text), DeviceSpecError)
    found = decimal(text)
    assert found is None or 0 <= found < 10**18


def models_file(dice: random.Random) -> None:
    """`models.yaml`, and the former system's."""
    text = dice.choice((_MODELS, _FORMER))
    lines = text.splitlines()
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(lines))
        how = dice.randrange(4)
        if how == 0:
            lines[at] = lines[at].partition(":")[0] + ": " + dice.choice(_YAML)
        elif how == 1:
            lines[at] = dice.choice(_YAML)
        elif how == 2:
            lines.insert(at, lines[dice.randrange(len(lines))])
        else:
            lines[at] = lines[at].partition(":")[0] + ": " + json.dumps(values.anything(dice, 2))
    data = "\n".join(lines).encode()
    if dice.random() < 0.3:
        data = values.spoilt(data, dice)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "models.yaml"
        file.write_bytes(data)
        found = refused(partial(load_models_yaml, file, []), ModelsFileError)
        for each in found.declared if found is not None else ():
            # What a worker is started with.
            assert all(name and "=" not in name and "\0" not in name + value for name, value in each.env.items())
            json.dumps(each.spec.config, allow_nan=False)
    refused(partial(convert_parent_models, data.decode("utf-8", "replace")), ModelsFileError)
