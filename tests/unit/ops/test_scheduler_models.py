"""What of an adapter object reaches a worker process, and why some cannot."""

from __future__ import annotations

import importlib
import site
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.echo import EchoAdapter
from pocket3d.adapters.registry import AdapterRegistry, register_all_adapters
from pocket3d.ops.embed.models import NotRebuildable, declaration, entry_for

SOURCE = """
from pocket3d.adapters.echo import EchoAdapter


class Mine(EchoAdapter):
    def __init__(self, model_id="mine", weights=None, sizes=(), **rest):
        super().__init__(model_id=model_id)
        self.weights = weights


class Outer:
    class Inner(EchoAdapter):
        pass


def make():
    class Local(EchoAdapter):
        pass

    return Local


class Positional(EchoAdapter):
    def __init__(self, *parts):
        super().__init__()


Made = type("Other", (EchoAdapter,), {"__module__": __name__})
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "reader_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "script")
    yield importlib.import_module("reader_module")
    del sys.modules["reader_module"]


class Size(Enum):
    LARGE = "large"


def test_class_arguments_and_folders_are_told(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    model = module.Mine(weights=Path("w.pt"), sizes=(1, Size.LARGE), options={"a": [None, True]})
    declared = declaration(model, python="/opt/python", env={"A": "b"}, path=["lib"], accept_license=True)
    assert (declared.python, declared.env) == ("/opt/python", {"A": "b"})
    spec = declared.spec
    assert (spec.adapter_id, spec.class_path, spec.feature) == ("mine", "reader_module.Mine", "echo")
    assert spec.config == {"weights": str(tmp_path / "w.pt"), "sizes": [1, "large"], "options": {"a": [None, True]}}
    # Another interpreter gets what was named and the class's own folder, nothing of this environment.
    assert spec.path == [str(tmp_path / "lib"), str(tmp_path / "script")] and spec.accept_license is True
    assert msgspec.json.decode(msgspec.json.encode(spec), type=type(spec)) == spec


def test_a_worker_of_this_interpreter_looks_where_this_process_looks(
    module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "more")
    path = declaration(module.Mine()).spec.path
    assert path[:2] == [str(tmp_path / "script"), str(tmp_path / "more")]
    assert not set(path) & {*site.getsitepackages(), str(Path(importlib.__file__).parents[1])}


def test_an_entry_of_models_yaml_gives_what_the_model_does_not_say(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        """
adapters:
  echo:
    python: venv/bin/python
    env: {A: one, B: two}
    path: [lib]
    config: {load_s: 1.5, vram_requirement: 8}
    accept_license: true
  other: {class: my.Echo, python: /opt/python}
"""
    )
    configured = load_models_yaml(file).adapters
    registry = AdapterRegistry()
    register_all_adapters(registry)
    model = registry.create_adapter_instance("echo", model_id="mine", vram_requirement=32)
    declared = declaration(model, env={"B": "three"}, configured=entry_for(model, configured))
    assert (declared.python, declared.env) == (str(tmp_path / "venv/bin/python"), {"A": "one", "B": "three"})
    assert declared.spec.config == {"model_id": "mine", "load_s": 1.5, "vram_requirement": 32}
    assert declared.spec.path == [str(tmp_path / "lib")] and declared.spec.accept_license is True
    assert declaration(model, python="/opt/mine", configured=entry_for(model, configured)).python == "/opt/mine"
    assert entry_for(EchoAdapter(model_id="other"), configured) is None


def test_ours_needs_no_folder_of_its_own() -> None:
    spec = declaration(EchoAdapter(model_id="My Echo"), python="/opt/python").spec
    assert (spec.adapter_id, spec.path, spec.config) == ("my-echo", [], {"model_id": "My Echo"})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda m: m.Outer.Inner(), "inside Outer; move it to the top level of reader_module"),
        (lambda m: m.make()(), r"inside make\(\); move it to the top level of reader_module"),
        (lambda m: m.Made(), "reader_module.Other is not this class"),
        (lambda m: m.Positional("a"), "named arguments"),
        (lambda m: m.Mine(weights=object()), r"Mine\(weights=...\) is a object, .*_load_model"),
        (lambda m: m.Mine(options={"x": [1, {2, 3}]}), r"Mine\(options=...\).x\[1\] is a set"),
        (lambda m: m.Mine(model_id="---"), "model_id '---'"),
    ],
)
def test_what_cannot_be_rebuilt_says_what_to_do(module: Any, make: Any, says: str) -> None:
    with pytest.raises(NotRebuildable, match=says):
        declaration(make(module))


def test_a_class_of_the_script_is_to_be_moved_into_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    cls = type("Mine", (EchoAdapter,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/home/me/run.py", raising=False)
    with pytest.raises(NotRebuildable, match=r"in the script run.py; put it into a module .*import Mine"):
        declaration(cls())
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    with pytest.raises(NotRebuildable, match="an interactive session"):
        declaration(cls())
