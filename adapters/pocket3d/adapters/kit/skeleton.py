"""A new adapter's package, as files: it works as written (with a placeholder for the model), and so does its test.

Pure: nothing is written here.
"""

from __future__ import annotations

import re
from string import Template
from typing import NamedTuple

from pocket3d.contracts.features import FEATURE_PATTERN, canonical
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN


class _Base(NamedTuple):
    """What a feature's adapters derive from, and where the placeholder's mesh comes from."""

    module: str
    name: str
    #: Fields of the options, as Python source.
    fields: tuple[str, ...]
    #: The inputs in the order in which a person would try them.
    example: str
    takes_mesh: bool = False
    makes_splat: bool = False
    #: Whether it names the feature and makes the common part of the answer.
    answers: bool = True


_IMAGE = ("image_path: ImageFile = None", "image_paths: ImageFiles = None")
_MESH = ('mesh_path: Annotated[Any, Meta(description="a file: glb")]',)
_TEXT = 'Annotated[str, Meta(max_length=10000, description="what is wanted")]'
_PROMPT = (f"text_prompt: {_TEXT}",)
_PARTS = 'num_parts: Annotated[int, Meta(ge=1, le=1000, description="wanted")] = 8'
_RIG = 'rig_type: Annotated[Literal["humanoid"], Meta(description="kind of skeleton")] = "humanoid"'
_ALWAYS = (
    'output_format: Annotated[str, Meta(description="of the file")] = "{format}"',
    'seed: Annotated[Seed, Meta(description="same seed, same mesh")] = 0',
)

_BASES: dict[str, _Base] = {
    "text_to_mesh": _Base("mesh_models", "TextToMeshModel", _PROMPT, "text_prompt='a red chair'"),
    "image_to_mesh": _Base("mesh_models", "ImageToMeshModel", _IMAGE, "image_path=cat.png"),
    "image_to_splat": _Base("splat_models", "ImageToSplatModel", _IMAGE, "image_path=cat.png", makes_splat=True),
    "multimodal_to_mesh": _Base(
        "mesh_models", "MultiModalMeshModel", (f"text_prompt: {_TEXT} | None = None", *_IMAGE), "text_prompt='a cat'"
    ),
    "text_to_texture": _Base(
        "texture_models", "TextToTextureModel", (*_MESH, *_PROMPT), "mesh_path=a.glb text_prompt='old oak'", True
    ),
    "image_to_texture": _Base(
        "texture_models", "ImageToTextureModel", (*_MESH, *_IMAGE), "mesh_path=a.glb image_path=oak.png", True
    ),
    "mesh_segmentation": _Base(
        "segment_models", "MeshSegmentationModel", (*_MESH, _PARTS), "mesh_path=a.glb", takes_mesh=True
    ),
    "part_completion": _Base("segment_models", "PartCompletionModel", _MESH, "mesh_path=a.glb", takes_mesh=True),
    "auto_rig": _Base("rig_models", "AutoRigModel", (*_MESH, _RIG), "mesh_path=a.glb", takes_mesh=True),
    **{
        feature: _Base("mesh_models", "MeshInputModel", _MESH, "mesh_path=a.glb", takes_mesh=True, answers=False)
        for feature in ("mesh_retopology", "uv_unwrapping", "mesh_simplification")
    },
}
_OTHER = _Base("base", "BaseModel", (), "key=value", answers=False)

_ANSWER = """\
        # The inputs are checked, and the common part of the answer is there: $output, success, ...
        response: dict[str, Any] = super()._process_request(inputs)"""
_OTHERS_ANSWER = "        response = self._create_common_response(inputs, self._validate_common_inputs(inputs))"
_WORK = """\
        # The placeholder is a dumbbell: put your model's mesh here.
        write_sample_mesh(Path(response["output_mesh_path"]))"""
_SPLAT_WORK = """\
        # The placeholder is a ball: put your model's Gaussians here.
        write_sample_splat(Path(response["output_splat_path"]))"""
_MESH_WORK = """\
        # The placeholder gives the mesh back as it came: put your model's work here.
        shutil.copyfile(self._mesh_path(inputs), response["output_mesh_path"])"""

_PYPROJECT = Template(
    """[build-system]
requires = ["hatchling>=1.24"]
build-backend = "hatchling.build"

[project]
name = "$name"
version = "0.1.0"
description = "$title as an adapter for Pocket3DStudio."
readme = "README.md"
requires-python = ">=3.10"
# What the model needs goes here. Pocket3DStudio itself is brought by the agent; these two are its worker's needs.
dependencies = ["msgspec>=0.19,<1", "structlog>=24.1"]

# Agents find the adapter by this: its id, and where its class is. It is imported in the worker only.
[project.entry-points."pocket3d.adapters"]
"$name" = "$package.adapter:$cls"

[tool.hatch.build.targets.wheel]
packages = ["src/$package"]

[tool.pytest.ini_options]
pythonpath = ["src"]
"""
)

_ADAPTER = Template(
    '''"""$title as an adapter for Pocket3DStudio.

Imports nothing heavy at its top: the agent asks the class what it is in an interpreter that may lack torch.
"""

from __future__ import annotations

$imports

class $options(Options):
    """What a request may say. The system refuses other requests before a GPU is taken."""

$fields


class $cls($base):
    """$title, feature `$feature`.

    Args (of `config` in models.yaml; the class attributes below are their defaults):
        model_path: weights on disk, or a hub's repository id.
        vram_requirement: MB that the loaded model and one request need together.
        max_concurrent: requests that may run in it at once.
    """

    adapter_id = "$name"
    # Measure it.
    default_vram_mb = 1024
    default_output_formats = ("$format",)
    options_type = $options
    # Without this line: GPUs only.
    devices = ("cuda", "cpu")
    # What users must know before they use it: `commercial_use` is True, False, or None while it is unclear.
    # `requires_acceptance=True` keeps it off until an operator says yes.
    license_info = License(code="your licence", weights="the weights' licence", commercial_use=None)
$class_lines
    def check_available(self) -> str | None:
        """Why it cannot work on this host, in one line that says what to do; None if it can. Must be quick."""
        return None

    def _load_model(self) -> Any:
        # Heavy imports belong here: from my_model import Pipeline; return Pipeline(self.model_path).to(self.device)
        return "the model"

    def _unload_model(self) -> None:
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        # `options = $options.read(inputs)` has the values of the request: `options.seed`.
$answer
        steps = 4
        for step in range(steps):
            # Between steps: a cancel is heard here, and users see how far it is.
            self.step(step / steps, "sampling")
$work
        self.report_progress(1.0, "done")
        return response
'''
)

_TEST = Template(
    '''"""The adapter keeps its contract: it is started, asked, cancelled and ended as an agent does it."""

from __future__ import annotations

from pathlib import Path

from pocket3d.adapters.check import check_adapter


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    report = check_adapter("$package.adapter.$cls", work_dir=tmp_path)
    assert report.ok, report.text()
'''
)

_README = Template(
    """# $name

$title as an adapter for Pocket3DStudio: feature `$feature`.

```
pip install -e .                      # into the environment of the agent
pytest                                # its contract, without a server
pocket3d adapters check $name
pocket3d adapters                     # is it listed as available?
pocket3d up                           # and then, elsewhere:
pocket3d submit $feature $example --wait --download out
```

The model goes into `src/$package/adapter.py`: its imports and weights into `_load_model`, its work into
`_process_request` in place of the placeholder. Then set `default_vram_mb` to what you measured, and `license_info`.

If its packages cannot live beside the agent's, give it an environment of its own and name that in the agent's
`models.yaml`:

```yaml
adapters:
  $name:
    class: "$package.adapter.$cls"
    python: /opt/$name/venv/bin/python
    config: {vram_requirement: 1024}
```
"""
)


def skeleton_files(adapter_id: str, feature: str = "text_to_mesh") -> dict[str, str]:
    """The files of a new package, by path relative to its folder.

    Raises:
        ValueError: the id or the feature is none, or no Python name can be made of the id.
    """
    if not ADAPTER_ID_PATTERN.fullmatch(adapter_id):
        raise ValueError(f"{adapter_id!r}: an adapter's id is 1 to 64 of a-z, 0-9, _, . and -, a letter or digit first")
    if not FEATURE_PATTERN.fullmatch(feature):
        raise ValueError(f"feature {feature!r}: want 1 to 48 of a-z, 0-9 and _")
    words = [word for word in re.split(r"[^a-z0-9]+", adapter_id) if word]
    package = "_".join(words)
    if not package.isidentifier():
        raise ValueError(f"{adapter_id!r}: begin it with a letter, it becomes the name of a Python package")
    name = canonical(feature)
    base = _BASES.get(name, _OTHER)
    cls = "".join(word.capitalize() for word in words)
    kind = "splat" if base.makes_splat else "mesh"
    written = "ply" if base.makes_splat else "glb"
    work = _SPLAT_WORK if base.makes_splat else _MESH_WORK if base.takes_mesh else _WORK
    always = [field.format(format=written) for field in _ALWAYS]
    facts = {
        "name": adapter_id,
        "package": package,
        "cls": cls if cls.endswith("Adapter") else f"{cls}Adapter",
        "title": " ".join(words).capitalize(),
        "feature": name,
        "base": base.name,
        "example": base.example,
        "imports": _imports(base),
        "class_lines": "" if base.answers else f'    default_feature = "{name}"\n',
        "options": f"{cls.removesuffix('Adapter')}Options",
        "fields": "\n".join(f"    {field}" for field in (*base.fields, *always)),
        "format": written,
        "answer": _ANSWER.replace("$output", f"output_{kind}_path") if base.answers else _OTHERS_ANSWER,
        "work": work,
    }
    return {
        "pyproject.toml": _PYPROJECT.substitute(facts),
        "README.md": _README.substitute(facts),
        f"src/{package}/__init__.py": f'"""{facts["title"]} for Pocket3DStudio."""\n',
        f"src/{package}/adapter.py": _ADAPTER.substitute(facts),
        "tests/test_adapter.py": _TEST.substitute(facts),
    }


def _imports(base: _Base) -> str:
    source = " ".join(base.fields)
    names = [name for name in ("ImageFile", "ImageFiles") if f"{name} " in source]
    ours = [f"from pocket3d.adapters.{base.module} import {base.name}"]
    ours.append(f"from pocket3d.adapters.authoring.options import {', '.join([*names, 'Meta', 'Options', 'Seed'])}")
    ours.append("from pocket3d.adapters.licenses import License")
    if not base.takes_mesh:
        sample = "write_sample_splat" if base.makes_splat else "write_sample_mesh"
        ours.append(f"from pocket3d.adapters.kit.samples import {sample}")
    first = "import shutil" if base.takes_mesh else "from pathlib import Path"
    standard = [first, f"from typing import Annotated, Any{', Literal' if 'Literal' in source else ''}"]
    return "\n".join([*standard, "", *sorted(ours), ""])
