"""One declaration of an adapter's inputs: what it publishes, what it reads, what it refuses and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket3d.adapters.authoring.options import ImageFile, ImageFiles, MeshFile, Meta, Options, Seed, json_schema
from pocket3d.adapters.base import BaseModel, InvalidInput
from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.class_loading import load_class
from pocket3d.adapters.mesh_models import MultiModalMeshModel


class WallOptions(Options):
    """Not for the schema."""

    mesh_path: MeshFile
    output_format: Annotated[str, Meta(description="of the wall")] = "glb"
    rows: Annotated[int, Meta(ge=1, le=500, description="rows of bricks")] = 20
    height: Annotated[float, Meta(ge=0.1, le=10)] | None = None
    mortar: Annotated[float, Meta(ge=0)] = 0.01
    bond: Annotated[Literal["running", "stack", "flemish"], Meta(description="how rows lie")] = "running"
    texels: Literal[2048, 512] = 2048
    parts: Annotated[int | None, Meta(extra_json_schema={"type": ["integer", "null"], "default": None})] = None
    note: Annotated[str, Meta(min_length=1, max_length=5)] | None = None
    window: bool = True
    seed: Annotated[Seed, Meta(description="of the colours")] = 0

    def __post_init__(self) -> None:
        if self.bond == "stack" and not self.window:
            raise InvalidInput("a stack without a window falls over", "window")


class LongWallOptions(WallOptions):
    rows: Annotated[int, Meta(ge=1, le=900)] = 600


class OpenOptions(Options, forbid_unknown_fields=False):
    weight: Annotated[float, Meta(ge=0)] = 0.0


class Wall(BaseModel):
    adapter_id = "brick-wall"
    default_vram_mb = 64
    default_max_concurrent = 3
    default_output_formats = ("glb", "ply")
    options_type: ClassVar[type[Options]] = WallOptions

    def _load_model(self) -> None: ...

    def _unload_model(self) -> None: ...

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"rows": WallOptions.read(inputs).rows}


def schema_of(adapter: BaseModel) -> dict[str, Any]:
    schema = adapter.get_parameter_schema()
    assert schema is not None
    return schema


def test_the_declaration_is_the_published_schema() -> None:
    schema = schema_of(Wall())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == {
        "type": "object",
        "properties": {
            "mesh_path": {
                "description": "one file: glb, vrm, obj, ply, stl, off, 3mf, fbx, dae or 3ds, or a zip of a mesh with"
                " its files"
            },
            "output_format": {
                "type": "string",
                "enum": ["glb", "ply"],
                "default": "glb",
                "description": "of the wall",
            },
            "rows": {"type": "integer", "minimum": 1, "maximum": 500, "default": 20, "description": "rows of bricks"},
            "height": {"type": "number", "minimum": 0.1, "maximum": 10},
            "mortar": {"type": "number", "minimum": 0, "default": 0.01},
            "bond": {
                "type": "string",
                "enum": ["running", "stack", "flemish"],
                "default": "running",
                "description": "how rows lie",
            },
            "texels": {"type": "integer", "enum": [2048, 512], "default": 2048},
            "parts": {"type": ["integer", "null"], "default": None},
            "note": {"type": "string", "minLength": 1, "maxLength": 5},
            "window": {"type": "boolean", "default": True},
            "seed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 4294967295,
                "default": 0,
                "description": "of the colours",
            },
        },
        "required": ["mesh_path"],
        "additionalProperties": False,
    }


def test_a_subclass_declares_only_what_differs() -> None:
    class LongWall(Wall):
        options_type = LongWallOptions

    assert schema_of(LongWall())["properties"]["rows"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 900,
        "default": 600,
    }
    assert list(schema_of(LongWall())["properties"]) == list(schema_of(Wall())["properties"])


def test_changing_a_published_schema_changes_no_other() -> None:
    schema_of(Wall())["properties"]["rows"]["default"] = 7
    assert schema_of(Wall())["properties"]["rows"]["default"] == 20


def test_absent_keys_and_nulls_are_defaults() -> None:
    assert WallOptions.read({"mesh_path": "a.glb"}) == WallOptions(mesh_path="a.glb")
    nulls = dict.fromkeys(WallOptions.__struct_fields__)
    assert WallOptions.read({**nulls, "mesh_path": "a.glb"}) == WallOptions(mesh_path="a.glb")


def test_whole_numbers_may_be_written_as_floats_and_the_other_way_round() -> None:
    read = WallOptions.read({"mesh_path": Path("a.glb"), "rows": 7.0, "parts": 2.0, "height": 3, "texels": 512.0})
    assert (read.rows, read.parts, read.height, read.texels) == (7, 2, 3.0, 512)
    assert isinstance(read.rows, int) and isinstance(read.height, float)
    assert read.mesh_path == Path("a.glb")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rows", 7.5, "rows is 7.5; want a whole number from 1 to 500"),
        ("rows", 0, "rows is 0; want a whole number from 1 to 500"),
        ("rows", True, "rows is True; want a whole number from 1 to 500"),
        ("rows", "7", "rows is '7'; want a whole number from 1 to 500"),
        ("rows", float("inf"), "rows is inf; want a whole number from 1 to 500"),
        ("rows", [7], "rows is [7]; want a whole number from 1 to 500"),
        ("height", float("nan"), "height is nan; want a number from 0.1 to 10"),
        ("height", False, "height is False; want a number from 0.1 to 10"),
        ("mortar", float("inf"), "mortar is inf; want a number of at least 0"),
        ("mortar", -1, "mortar is -1; want a number of at least 0"),
        ("bond", "herringbone", "bond is 'herringbone'; want one of running, stack, flemish"),
        ("bond", ["stack"], "bond is ['stack']; want one of running, stack, flemish"),
        ("texels", 1024, "texels is 1024; want one of 2048, 512"),
        ("texels", True, "texels is True; want one of 2048, 512"),
        ("window", 1, "window is 1; want true or false"),
        ("note", "", "note is ''; want a text of 1 to 5 characters"),
        ("note", {"a": 1}, "note is {'a': 1}; want a text of 1 to 5 characters"),
        ("seed", -1, "seed is -1; want a whole number from 0 to 4294967295"),
        ("seed", 10**300, f"seed is 1{'0' * 56}...; want a whole number from 0 to 4294967295"),
        ("height", 10**400, f"height is 1{'0' * 56}...; want a number from 0.1 to 10"),
        ("row", 7, "row is no parameter; did you mean 'rows'? known: mesh_path, output_format, rows, height"),
        ("parts", "2", "parts is '2'; want a whole number"),
    ],
)
def test_a_refusal_names_the_key_the_value_and_what_is_wanted(key: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WallOptions.read({"mesh_path": "a.glb", key: value})
    assert refused.value.message.startswith(words)
    assert refused.value.field == key


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidInput, match="mesh_path is required") as refused:
        WallOptions.read({"rows": 3})
    assert refused.value.field == "mesh_path"


def test_what_the_schema_cannot_say_is_refused_by_the_declaration_itself() -> None:
    with pytest.raises(InvalidInput, match="falls over") as refused:
        WallOptions.read({"mesh_path": "a.glb", "bond": "stack", "window": False})
    assert refused.value.field == "window"


def test_a_declaration_may_let_other_keys_pass() -> None:
    assert OpenOptions.read({"weight": 2, "anything": {"a": 1}}) == OpenOptions(weight=2.0)

    class Open(Wall):
        options_type = OpenOptions

    assert schema_of(Open())["additionalProperties"] is True


async def test_an_adapter_checks_its_options_before_it_works() -> None:
    wall = Wall()
    assert (wall.model_id, wall.vram_requirement, wall.max_concurrent) == ("brick-wall", 64, 3)
    await wall.load()
    assert await wall.process({"mesh_path": "a.glb", "rows": 3.0, "output_format": ".GLB"}) == {"rows": 3}
    for bad in ({"rows": 0}, {"output_format": "obj"}, {"output_format": 7}):
        with pytest.raises(InvalidInput) as refused:
            await wall.process({"mesh_path": "a.glb", **bad})
        assert refused.value.field in bad


class PictureOptions(Options):
    text_prompt: Annotated[str, Meta(min_length=1)] | None = None
    image_path: ImageFile = None
    image_paths: ImageFiles = None
    seed: Seed = 0


class Picture(MultiModalMeshModel):
    default_vram_mb = 64
    options_type = PictureOptions

    def _load_model(self) -> None: ...

    def _unload_model(self) -> None: ...

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        return super()._process_request(inputs)


def test_features_check_their_keys_and_then_the_options(tmp_path: Path) -> None:
    picture = Picture()
    picture.validate_inputs({"text_prompt": "a chair", "seed": 3})
    image = tmp_path / "chair.png"
    image.write_bytes(b"")
    picture.validate_inputs({"image_paths": [str(image)]})
    for inputs, field in (
        ({"text_prompt": " "}, "text_prompt"),
        ({}, "text_prompt"),
        ({"image_path": "chair.psd"}, "image_path"),
        ({"text_prompt": "a chair", "seed": "x"}, "seed"),
    ):
        with pytest.raises(InvalidInput) as refused:
            picture.validate_inputs(inputs)
        assert refused.value.field == field
    assert schema_of(picture)["properties"]["image_path"] == {
        "description": "an image: png, jpg, webp, tiff, bmp or gif; avif and heic where the host can read them"
    }


VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 5000),
    st.sampled_from([2**32 - 1, 2**32, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "running", "flemish", "a text", "none", "auto", "front", "y"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=1),
)
DECLARED = [
    WallOptions,
    LongWallOptions,
    OpenOptions,
    *(
        cls.options_type
        for cls in (load_class(each.class_path) for each in BUILTIN_ADAPTERS)
        if cls.options_type is not None
    ),
]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda each: each.__name__)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_the_schema_allows_is_read_and_nothing_else(declared: type[Options], data: st.DataObject) -> None:
    schema = json_schema(declared)
    schema["properties"].pop("output_format", None)
    required = {key: "a.glb" for key in schema.get("required", []) if key != "output_format"}
    schema["required"] = list(required)
    facts = schema["properties"]

    def likely(key: str) -> st.SearchStrategy[Any]:
        bounds = [facts[key][name] for name in ("minimum", "maximum") if name in facts[key]]
        near = [bound + step for bound in bounds for step in (-1, 0, 0.5, 1)] + facts[key].get("enum", [])
        return st.sampled_from(near) if near else VALUES

    keys = data.draw(st.lists(st.sampled_from([*facts, "another"]), unique=True, max_size=4))
    inputs = {key: data.draw(VALUES if key == "another" else st.one_of(VALUES, likely(key))) for key in keys}
    given_inputs = {**required, **inputs}
    if "output_format" in declared.__struct_fields__:
        given_inputs["output_format"] = "glb"
        facts["output_format"] = {}
    allowed = jsonschema.Draft202012Validator(schema).is_valid(given_inputs)
    try:
        declared.read(given_inputs)
    except InvalidInput as error:
        assert error.field in given_inputs
        # What `__post_init__` refuses, no schema can say.
        assert not allowed or not isinstance(error.__cause__, msgspec.ValidationError)
    else:
        assert allowed
