"""What a `models.yaml` declares, and where its mistakes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.adapters.catalogue import models_yaml
from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.models_yaml import ModelsFileError, builtin_models, load_models_yaml
from pocket3d.adapters.runtime.describe import describe
from support.pages import ROOT, codes, first_cells, section

BUILTINS = [each.adapter_id for each in BUILTIN_ADAPTERS if each.recipe is None]


def write(folder: Path, text: str) -> Path:
    file = folder / "models.yaml"
    file.write_text(text)
    return file


def test_without_a_file_there_are_the_built_ins() -> None:
    models = builtin_models()
    assert [each.spec.adapter_id for each in models.adapters] == BUILTINS
    assert models.adapters[1].spec.feature == "text_to_mesh" and models.preferred == {}


def test_the_guides_file_loads(tmp_path: Path) -> None:
    models = load_models_yaml(
        write(
            tmp_path,
            """
adapters:
  trellis-text-to-mesh:
    class: "adapters.trellis_adapter.TrellisTextToMeshAdapter"
    config:
      vram_requirement: 6144
      max_concurrent: 1
      trellis_root: "/data/TRELLIS"
deployment:
  auto_load_adapters: true
  preferred_adapters:
    text_to_mesh: ["trellis-text-to-mesh"]
    auto_rigging: ["unirig-auto-rigging"]
""",
        )
    )
    assert [each.spec.adapter_id for each in models.adapters] == [*BUILTINS, "trellis-text-to-mesh"]
    spec = models.adapters[-1].spec
    assert spec.class_path == "pocket3d.adapters.upstream.trellis.adapter.TrellisTextToMeshAdapter"
    assert spec.config == {"vram_requirement": 6144, "max_concurrent": 1, "trellis_root": "/data/TRELLIS"}
    assert (spec.feature, spec.devices, spec.accept_license) == (None, None, False)
    assert models.preferred == {"text_to_mesh": ["trellis-text-to-mesh"], "auto_rig": ["unirig-auto-rigging"]}


def test_siblings_are_read_and_paths_lie_beside_the_file(tmp_path: Path) -> None:
    models = load_models_yaml(
        write(
            tmp_path,
            """
builtins: false
adapters:
  mine:
    class: my.module.Adapter
    feature: image_to_raw_mesh
    python: venv/bin/python
    env: {OMP_NUM_THREADS: 2, HF_HOME: /cache}
    path: [thirdparty/X, /abs/Y]
    devices: cpu
    accept_license: true
  other:
    class: my.Other
    python: python3.10
    path: one
""",
        )
    )
    mine, other = models.adapters
    assert mine.spec.feature == "image_to_mesh"
    assert mine.python == str(tmp_path / "venv/bin/python") and other.python == "python3.10"
    assert mine.env == {"OMP_NUM_THREADS": "2", "HF_HOME": "/cache"}
    assert mine.spec.path == [str(tmp_path / "thirdparty/X"), "/abs/Y", str(tmp_path)]
    assert other.spec.path == [str(tmp_path / "one"), str(tmp_path)]
    assert mine.spec.devices == ["cpu"] and mine.spec.accept_license


def test_a_module_beside_the_file_is_found_without_path(tmp_path: Path) -> None:
    (tmp_path / "beside_the_file.py").write_text(
        "from pocket3d.adapters.echo import EchoAdapter\n\n\nclass Mine(EchoAdapter):\n    pass\n"
    )
    file = write(tmp_path, "builtins: false\nadapters: {mine: {class: beside_the_file.Mine}, echo: {}}")
    mine, echo = load_models_yaml(file).adapters
    assert describe(mine.spec).reason is None
    # Ours are found anyway, and are asked together with the others that need no folder.
    assert echo.spec.path == []


def test_the_same_key_overrides_a_built_in_in_its_place(tmp_path: Path) -> None:
    models = load_models_yaml(write(tmp_path, "adapters: {echo: {config: {max_concurrent: 2}}}"))
    assert [each.spec.adapter_id for each in models.adapters] == BUILTINS
    assert models.adapters[0].spec.config == {"max_concurrent": 2}
    assert models.adapters[0].spec.class_path == "pocket3d.adapters.echo.EchoAdapter"


def test_auto_load_false_declares_without_registering(tmp_path: Path) -> None:
    models = load_models_yaml(write(tmp_path, "deployment: {auto_load_adapters: false}"))
    assert models.adapters == [] and len(models.declared) == len(BUILTINS)


@pytest.mark.parametrize("text", ["", "# nothing\n", "adapters:\n", "adapters: {}\ndeployment:\n"])
def test_an_empty_file_means_the_built_ins(tmp_path: Path, text: str) -> None:
    assert load_models_yaml(write(tmp_path, text)) == builtin_models()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("adapters:\n  a:\n    class: m.C\n    vram: 5\n", 4, "adapters.a.vram: unknown key; known here: class"),
        ("adaptors: {}\n", 1, "adaptors: unknown key"),
        ("deployment:\n  auto_load: true\n", 2, "deployment.auto_load: unknown key"),
        ("adapters:\n  a: {config: {}}\n", 2, "adapters.a: class is missing"),
        ("adapters:\n  a:\n    class: Single\n", 3, "adapters.a.class: 'Single'"),
        ("adapters:\n  Big Name: {class: m.C}\n", 2, "adapter id 'Big Name'"),
        ("adapters:\n  a: {class: m.C, feature: Bad-One}\n", 2, "adapters.a.feature: feature 'Bad-One'"),
        ("adapters:\n  a: {class: m.C, devices: [tpu]}\n", 2, "adapters.a.devices: want a list of cuda and cpu"),
        ("adapters:\n  a: {class: m.C, devices: []}\n", 2, "adapters.a.devices"),
        ("adapters:\n  a: {class: m.C, env: {X: true}}\n", 2, "adapters.a.env.X: want a text or a number"),
        ("adapters:\n  a: {class: m.C, accept_license: maybe}\n", 2, "want true or false, got 'maybe'"),
        ("adapters:\n  a: {class: m.C, config: [1]}\n", 2, "adapters.a.config: want a mapping, got list"),
        ("adapters:\n  a: {class: m.C, config: {d: 2024-01-01}}\n", 2, "adapters.a.config.d: date"),
        ("adapters:\n  a: {class: m.C, config: {k: [{1: 2}]}}\n", 2, "adapters.a.config.k[0].1: the key 1"),
        ("adapters:\n  a: {class: m.C, path: [1]}\n", 2, "adapters.a.path: want a folder"),
        ("adapters:\n  a: {class: m.C}\n  a: {class: m.D}\n", 3, "adapters.a: the key stands twice"),
        ("deployment:\n  preferred_adapters:\n    echo: [Bad Id]\n", 3, "preferred_adapters.echo[0]: adapter id"),
        ("builtins: 0\n", 1, "builtins: want true or false"),
        ("adapters: [a]\n", 1, "adapters: want a mapping, got list"),
        ("adapters: {\n", 2, "not YAML"),
        ("x: !!python/object/apply:os.system ['true']\n", 1, "not YAML"),
        ("- a\n", 1, "want a mapping, got list"),
        (
            "adapters:\n  a: {class: m.C, config: {d: 2026-02-30}}\n",
            2,
            "'2026-02-30' is no timestamp; put it in quotes",
        ),
        ("adapters:\n  a: {class: m.C, config: {d: !!int x}}\n", 2, "'x' is no int"),
        ("adapters:\n  a: {class: m.C, config: {d: !!bool x}}\n", 2, "'x' is no bool"),
        ("adapters:\n  a: {class: m.C, config: {d: !!timestamp x}}\n", 2, "'x' is no timestamp"),
        ("adapters:\n  a: {class: m.C, config: {d: 99999999999999999999}}\n", 2, "config.d: the number does not fit"),
        ("adapters:\n  a: {class: m.C, config: {d: .nan}}\n", 2, "config.d: nan is no number that JSON knows"),
        ("adapters:\n  a: {class: m.C, config: {d: 'x', e: \"\\ud800\"}}\n", 2, "config.e: '\\ud800' holds"),
        ("adapters:\n  a: {class: m.C, env: {A=B: x}}\n", 2, "'A=B' is no name of an environment variable"),
        ("adapters:\n  a: {class: m.C, env: {'': x}}\n", 2, "'' is no name of an environment variable"),
        ('adapters:\n  a: {class: m.C, env: {X: "a\\0b"}}\n', 2, "adapters.a.env.X: 'a\\x00b' holds a null byte"),
        ('adapters:\n  a: {class: m.C, env: {"X\\0": b}}\n', 2, "adapters.a.env: 'X\\x00' holds a null byte"),
        ('adapters:\n  a: {class: m.C, python: "a\\0b"}\n', 2, "adapters.a.python: 'a\\x00b' holds a null byte"),
        ('adapters:\n  a: {class: m.C, path: ["a\\0b"]}\n', 2, "adapters.a.path[0]: 'a\\x00b' holds a null byte"),
        (
            "adapters:\n  a: {class: m.C, path: ~nobody_of_this_name/x}\n",
            2,
            "adapters.a.path: '~nobody_of_this_name/x'",
        ),
        ("adapters:\n  a: {class: m.C, python: ~nobody_of_this_name/x}\n", 2, "adapters.a.python: '~nobody"),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, line: int, says: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ModelsFileError) as caught:
        load_models_yaml(file)
    assert str(caught.value).startswith(f"{file}:{line}: ") and says in str(caught.value), caught.value


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsFileError, match=r"absent\.yaml: cannot be read: No such file"):
        load_models_yaml(tmp_path / "absent.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelsFileError, match="not UTF-8"):
        load_models_yaml(binary)


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = "adapters:\n  a: &a {class: m.C, config: {k: 1}}\n  b: *a\n  c: {<<: *a, devices: [cpu]}\n"
    a, b, c = (each.spec for each in load_models_yaml(write(tmp_path, text), []).adapters[-3:])
    assert a.config == b.config == c.config == {"k": 1} and c.devices == ["cpu"]


@pytest.mark.parametrize("repeat", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_that_unfold_without_end_are_refused_at_once(tmp_path: Path, repeat: str) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n + 1}: &a{n + 1} {repeat.format(', '.join([f'*a{n}'] * 9))}" for n in range(12)]
    with pytest.raises(ModelsFileError, match="values, those of its aliases counted"):
        load_models_yaml(write(tmp_path, "\n".join(lines)))
    with pytest.raises(ModelsFileError, match="nested too deeply"):
        load_models_yaml(write(tmp_path, "adapters: &a\n  x: *a\n"))


def test_the_page_names_every_key() -> None:
    text = section(ROOT / "docs" / "models.md", "models.yaml")
    told = {code for cell in first_cells(text) for code in codes(cell)}
    assert told >= set(models_yaml._ENTRY)
    assert told >= {f"deployment.{key}" for key in models_yaml._DEPLOYMENT} | {"builtins"}
