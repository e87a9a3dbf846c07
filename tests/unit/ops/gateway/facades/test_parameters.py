"""Foreign parameters: which adapter they are fitted to, and what is told as ignored."""

from __future__ import annotations

import pytest

from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.facades.parameters import Fitted, Wanted, fit
from support.facade_fleet import HUNYUAN, MULTI_VIEW, SILHOUETTE, adapter, fleet

WANTED = [Wanted("seed", 7), Wanted("octree_resolution", 256), Wanted("face_count", 900, ("max_faces",))]


def test_the_adapter_that_knows_most_gets_what_it_knows() -> None:
    fitted = fit(fleet(image_to_mesh=[SILHOUETTE, HUNYUAN]), "image_to_mesh", WANTED)
    assert fitted == Fitted({"seed": 7, "octree_resolution": 256, "max_faces": 900}, ())


def test_what_the_only_adapter_does_not_know_is_ignored() -> None:
    fitted = fit(fleet(image_to_mesh=SILHOUETTE), "image_to_mesh", WANTED)
    assert fitted == Fitted({"seed": 7}, ("octree_resolution", "face_count"))


def test_adapters_that_are_not_available_do_not_count() -> None:
    away = adapter("hunyuan", {"seed": {}, "octree_resolution": {}, "max_faces": {}}, available=False)
    assert fit(fleet(image_to_mesh=[away, SILHOUETTE]), "image_to_mesh", WANTED).inputs == {"seed": 7}


def test_an_alias_asks_the_same_adapters() -> None:
    assert fit(fleet(image_to_mesh=SILHOUETTE), "image_to_raw_mesh", [Wanted("seed", 7)]).inputs == {"seed": 7}


def test_an_adapter_that_takes_any_keys_gets_none_that_it_does_not_name() -> None:
    anything = adapter("anything", None)
    assert fit(fleet(image_to_mesh=anything), "image_to_mesh", WANTED).inputs == {}
    assert fit(fleet(image_to_mesh=[anything, SILHOUETTE]), "image_to_mesh", WANTED).inputs == {"seed": 7}


def test_a_preferred_adapter_is_the_only_one() -> None:
    known = fleet(image_to_mesh=[SILHOUETTE, HUNYUAN])
    assert fit(known, "image_to_mesh", WANTED, "silhouette-image-to-mesh").inputs == {"seed": 7}
    with pytest.raises(HttpError, match="available: silhouette-image-to-mesh, hunyuan3d-image-to-mesh") as caught:
        fit(known, "image_to_mesh", WANTED, "trellis")
    assert (caught.value.code, caught.value.field) == (400, "model")


def test_values_that_an_adapter_refuses_do_not_speak_for_it() -> None:
    narrow = adapter("narrow", {"seed": {}, "octree_resolution": {"maximum": 128}, "texture": {"enum": [False]}})
    wide = adapter("wide", {"octree_resolution": {"maximum": 512}, "texture": {}})
    wanted = [Wanted("octree_resolution", 256), Wanted("texture", True), Wanted("seed", 1)]
    fitted = fit(fleet(image_to_mesh=[narrow, wide]), "image_to_mesh", wanted)
    assert fitted == Fitted({"octree_resolution": 256, "texture": True}, ("seed",))


def test_a_value_that_the_only_adapter_refuses_is_sent_so_that_the_refusal_names_it() -> None:
    narrow = adapter("narrow", {"octree_resolution": {"maximum": 128}})
    assert fit(fleet(image_to_mesh=narrow), "image_to_mesh", WANTED).inputs == {"octree_resolution": 256}


def test_nothing_is_sent_of_what_was_not_given() -> None:
    assert fit(fleet(image_to_mesh=HUNYUAN), "image_to_mesh", [Wanted("seed", None)]) == Fitted({}, ())


def test_several_ways_to_say_one_thing_are_ignored_only_together() -> None:
    ways = [Wanted("size", 10, ("target_vertices",)), Wanted("size", 20, ("target_faces",))]
    faces = adapter("faces", {"target_faces": {}})
    assert fit(fleet(mesh_retopology=faces), "mesh_retopology", ways) == Fitted({"target_faces": 20}, ())
    nothing = adapter("nothing", {"seed": {}})
    assert fit(fleet(mesh_retopology=nothing), "mesh_retopology", ways) == Fitted({}, ("size",))


def test_a_key_can_be_needed() -> None:
    both = fleet(image_to_mesh=[HUNYUAN, MULTI_VIEW])
    assert "octree_resolution" in fit(both, "image_to_mesh", WANTED, needed="views").inputs
    with pytest.raises(HttpError, match="takes views") as caught:
        fit(fleet(image_to_mesh=HUNYUAN), "image_to_mesh", WANTED, needed="views")
    assert caught.value.code == 503


@pytest.mark.parametrize("known", [fleet(), fleet(image_to_texture=[]), fleet(image_to_mesh=SILHOUETTE)])
def test_a_feature_without_an_adapter_is_told(known: object) -> None:
    with pytest.raises(HttpError, match="no adapter for image_to_texture") as caught:
        fit(known, "image_mesh_painting", WANTED)  # type: ignore[arg-type]
    assert caught.value.code == 503


@pytest.mark.parametrize(
    ("schema", "value", "taken"),
    [
        ({"minimum": 1, "maximum": 8}, 1, True),
        ({"minimum": 1, "maximum": 8}, 8, True),
        ({"minimum": 1, "maximum": 8}, 0, False),
        ({"minimum": 1, "maximum": 8}, 9, False),
        ({"minimum": 1}, 0.5, False),
        ({"minimum": 2}, True, True),
        ({"minimum": 2}, "word", True),
        ({"minimum": "two"}, 1, True),
        ({"enum": ["glb", "obj"]}, "obj", True),
        ({"enum": ["glb", "obj"]}, "ply", False),
        ({"enum": "glb"}, "g", True),
        ("anything", 5, True),
    ],
)
def test_an_adapter_whose_bounds_or_choice_refuse_a_value_is_passed_over(
    schema: object, value: object, taken: bool
) -> None:
    """Two adapters know as much; the first is taken unless it refuses the value."""
    both = [adapter("first", {"p": schema, "mine": {}}), adapter("second", {"p": {}, "yours": {}})]
    wanted = [Wanted("p", value), Wanted("name", 1, ("mine",)), Wanted("name", 2, ("yours",))]
    key = "mine" if taken else "yours"
    assert fit(fleet(image_to_mesh=both), "image_to_mesh", wanted).inputs == {"p": value, key: 1 if taken else 2}


def test_of_adapters_that_take_as_much_the_one_that_knows_more_gets_it_and_else_the_first() -> None:
    refuses = adapter("refuses", {"a": {}, "b": {"maximum": 1}})
    lacks = adapter("lacks", {"a": {}})
    wanted = [Wanted("a", 5), Wanted("b", 5)]
    for order in ([refuses, lacks], [lacks, refuses]):
        assert fit(fleet(image_to_mesh=order), "image_to_mesh", wanted).inputs == {"a": 5, "b": 5}
    first, second = adapter("first", {"x": {}}), adapter("second", {"y": {}})
    either = [Wanted("one", 1, ("x",)), Wanted("one", 1, ("y",))]
    assert fit(fleet(image_to_mesh=[first, second]), "image_to_mesh", either).inputs == {"x": 1}


def test_the_first_name_that_an_adapter_knows_is_taken() -> None:
    knows_both = adapter("a", {"steps": {}, "slat_steps": {}})
    wanted = [Wanted("step", 5, ("num_inference_steps", "slat_steps", "steps"))]
    assert fit(fleet(image_to_mesh=knows_both), "image_to_mesh", wanted).inputs == {"slat_steps": 5}


def test_of_two_ways_to_say_one_thing_that_an_adapter_both_knows_the_first_holds() -> None:
    ways = [Wanted("size", 10, ("target_faces",)), Wanted("size", 20, ("target_faces",))]
    assert fit(fleet(mesh_retopology=adapter("a", {"target_faces": {}})), "mesh_retopology", ways).inputs == {
        "target_faces": 10
    }
