"""The guide's blocks in this process: its text is unaltered, and what it does without a scheduler works."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable

import pytest

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.registry import adapter_registry
from support.guide_source import ADDED, GUIDE, MODULES, adapted, blocks, run

from .conftest import Reader


def test_the_guide_is_the_one_that_was_given() -> None:
    digest = hashlib.sha256(GUIDE.read_bytes()).hexdigest()
    assert digest == "95eabc45332ba152c5a11d6624089fab1c42d2b05ca84ae2ffeeb998b350515e"
    assert (len(blocks("python")), len(blocks("yaml"))) == (13, 1)


@pytest.mark.parametrize("number", range(1, 14))
def test_only_import_lines_are_changed_or_added(number: int) -> None:
    given, ours = blocks("python")[number - 1].splitlines(), adapted(number).splitlines()
    changes = [line for line in difflib.ndiff(given, ours) if line[:1] in "+-"]
    assert all(line[1:].strip().startswith(("import ", "from ")) for line in changes)
    assert len(ours) - len(given) == len(ADDED.get(number, []))
    assert not any(f" {module} " in line for line in ours for module in MODULES)


async def test_block_1_the_base_classes_are_where_the_table_says() -> None:
    names = await run(adapted(1))
    features = {
        name: cls.default_feature for name, cls in names.items() if isinstance(cls, type) and issubclass(cls, BaseModel)
    }
    assert features == {
        "TextToMeshModel": "text_to_mesh",
        "ImageToMeshModel": "image_to_mesh",
        "MultiModalMeshModel": "multimodal_to_mesh",
        "TextToTextureModel": "text_to_texture",
        "AutoRigModel": "auto_rig",
        "MeshSegmentationModel": "mesh_segmentation",
    }


@pytest.mark.torch
async def test_block_8_the_guides_own_test_passes(reader: Reader) -> None:
    reader.write_my_model_adapter()
    names = await run(adapted(8))
    await names["test_my_adapter"]()
    assert [call["call"] for call in reader.calls()] == ["from_pretrained", "generate", "cpu"]
    assert reader.calls()[0]["custom_param"] == "default" and reader.calls()[1]["quality"] == "medium"
    (mesh,) = reader.meshes.iterdir()
    assert mesh.name.startswith("mymodel_Test_prompt_") and mesh.suffix == ".glb"


@pytest.mark.parametrize("registered", [False, True])
async def test_block_9_shows_memory_and_why_an_adapter_fails(
    registered: bool, printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKET3D_DEVICES", "fixed:24576+cpu:1000")
    if registered:
        adapter_registry.register_by_name("my-adapter", "pocket3d.adapters.echo.EchoAdapter")
    await run(adapted(9))
    memory, adapter = printed()
    assert memory == "Available VRAM: 24576MB"
    if registered:
        assert adapter == "✓ Adapter created successfully"
    else:
        assert adapter.startswith("✗ Adapter creation failed: no adapter 'my-adapter' is registered")


async def test_block_9_on_this_machine_measures_what_it_has(printed: Callable[[], list[str]]) -> None:
    await run(adapted(9))
    megabytes = int(printed()[0].removeprefix("Available VRAM: ").removesuffix("MB"))
    assert 0 < megabytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
