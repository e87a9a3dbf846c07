"""Every noun's geometry, judged by numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.write import is_watertight, statistics
from pocket3d.adapters.weight_free.procedural.assembly import SHAPES, Assembly, assemble
from pocket3d.adapters.weight_free.procedural.colours import MATERIALS
from pocket3d.adapters.weight_free.procedural.grammar import parse
from pocket3d.adapters.weight_free.procedural.nouns import NOUNS
from pocket3d.adapters.weight_free.procedural.polygons import triangulated
from pocket3d.adapters.weight_free.procedural.proportions import PROPORTIONS
from pocket3d.adapters.weight_free.procedural.restyling import VOXELS, _cells
from pocket3d.adapters.weight_free.procedural.scene import ObjectRequest, PartRequest, Scene
from pocket3d.adapters.weight_free.procedural.solids import Kit
from support import contact_sheet

pytestmark = pytest.mark.torch


def _make(prompt: str, seed: int = 0) -> Assembly:
    return assemble(parse(prompt), seed)


def _size(made: Assembly) -> list[float]:
    extents: list[float] = statistics(made.parts)["extents_m"]
    return extents


def test_every_noun_has_a_shape_and_only_painted_roles() -> None:
    assert set(SHAPES) == set(NOUNS)


@cache
def _plain(name: str) -> Assembly:
    """The noun with few faces: what is asked of it here does not depend on their number."""
    return assemble(Scene((ObjectRequest(name, name),), (), ()), detail=0.3)


#: Of those that look at every noun: each is made once, in one process.
_all_nouns = pytest.mark.xdist_group("nouns")


@_all_nouns
@pytest.mark.parametrize("name", list(NOUNS))
def test_a_noun_is_sound(name: str) -> None:
    noun = NOUNS[name]
    made = _plain(name)
    assert made.ignored == []
    for part in made.parts:
        # Every edge once in each direction: closed, and wound one way.
        assert is_watertight(part.faces), part.name
        assert np.isfinite(part.vertices).all(), part.name
        corners = part.vertices[part.faces]
        crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (corners[:, 0] * crossed).sum() > 0, part.name
        areas = np.linalg.norm(crossed, axis=1)
        assert areas.min() > 0, part.name
        assert np.allclose(np.linalg.norm(part.normals, axis=1), 1), part.name
        # A vertex's normal looks the way its faces do: not into the solid.
        along = (crossed[:, None] * part.normals[part.faces]).sum() / 3
        assert along > 0.7 * areas.sum(), part.name
    low = min(part.vertices[:, 1].min() for part in made.parts)
    assert low == pytest.approx(0, abs=1e-9)
    for made_side, usual in zip(_size(made), noun.size, strict=True):
        assert 0.6 * usual <= made_side <= 1.6 * usual
    assert max(_size(made)) < 60 * min(_size(made)) or noun.lengthwise or name in _FLAT


#: Thin as they are.
_FLAT = frozenset({"doily", "newspaper", "map", "quilt"})
_SOME = [name for place, name in enumerate(NOUNS) if not NOUNS[name].recipe or place % 12 == 0]


@pytest.mark.parametrize("name", _SOME)
def test_a_noun_with_most_and_least_of_every_part(name: str) -> None:
    noun = NOUNS[name]
    base = Scene((ObjectRequest(name, name),), (), ())
    for side in ("least", "most"):
        request = base.objects[0]
        for rule in noun.parts:
            count = getattr(rule, side)
            request = replace(request, parts={**request.parts, rule.name: PartRequest(rule.name, count)})
        made = assemble(replace(base, objects=(request,)), detail=0.3)
        assert all(is_watertight(part.faces) for part in made.parts), (name, side)
        assert all(np.isfinite(part.vertices).all() for part in made.parts)


def test_the_proportions_of_recipes_are_those_that_are_written_down() -> None:
    # `python tests/support/contact_sheet.py --sizes` writes them; a recipe that changed would be stretched to the old.
    for name in _SOME:
        if NOUNS[name].recipe:
            now, written = contact_sheet.sides(name, Kit()), PROPORTIONS[name]
            assert now == pytest.approx(written, abs=0.002), name
    assert set(PROPORTIONS) == {name for name, noun in NOUNS.items() if noun.recipe}


@pytest.mark.parametrize(
    ("prompt", "role", "count"),
    [
        ("a chair with three legs", "leg", 3),
        ("a chair with four legs", "leg", 4),
        ("a table with six legs", "leg", 6),
        ("a car with 3 wheels", "wheel", 3),
        ("a truck with eight wheels", "wheel", 8),
        ("a rocket with 5 fins", "fin", 5),
        ("a ladder with 11 rungs", "rung", 11),
        ("a bookcase with 4 shelves", "board", 4),
        ("a castle with six towers", "tower", 6),
        ("a flower with 12 petals", "petal", 12),
        ("a snowman with four balls and five buttons", "ball", 4),
        ("a tree with 12 apples", "apple", 12),
        ("a pine with five tiers", "tier", 5),
        ("a boat with 3 sails", "sail", 3),
        ("a cup with two handles", "handle", 2),
        ("a wheel with 12 spokes", "spoke", 12),
        ("a cactus with 4 arms", "arm", 4),
        ("a mushroom with 7 spots", "spot", 7),
        ("a house with 7 windows", "window", 7),
        ("a barrel with 3 hoops", "hoop", 3),
        ("a fish with 5 fins", "fin", 5),
        ("an airplane with 4 engines", "engine", 4),
        ("a bed with 3 pillows", "pillow", 3),
    ],
)
def test_as_many_parts_as_were_asked_for(prompt: str, role: str, count: int) -> None:
    parts = _make(prompt).parts
    assert sum(part.name.split(" / ")[1].rstrip("0123456789 ") == role for part in parts) == count


def test_counts_of_teeth_and_points_show_in_the_outline() -> None:
    for prompt, outermost in (("a gear with 20 teeth", 20), ("a star with 6 points", 6)):
        body = _make(prompt).parts[0]
        centre = (body.vertices.max(axis=0) + body.vertices.min(axis=0)) / 2
        flat = (body.vertices - centre)[:, :2]
        radius = np.linalg.norm(flat, axis=1)
        angles = np.sort(np.arctan2(flat[radius > 0.94 * radius.max(), 1], flat[radius > 0.94 * radius.max(), 0]))
        gaps = np.diff(np.concatenate([angles, angles[:1] + 2 * np.pi]))
        # Half a pitch parts the gap between two tips from a tip's own width.
        assert (gaps > np.pi / outermost).sum() == outermost


@pytest.mark.parametrize(
    ("prompt", "axis", "metres"),
    [
        ("a table 80 cm tall", 1, 0.8),
        ("an 80 cm table", 1, 0.8),
        ("a table 2 m wide", 0, 2.0),
        ("a 7 m long boat", 0, 7.0),
        ("a 3 m boat", 0, 3.0),
        ("a car 2 m wide", 2, 2.0),
        ("a bed 2.2 m long", 2, 2.2),
        ("a chair without a back 50 cm tall", 1, 0.5),
        ("a 10 inches tall mushroom", 1, 0.254),
    ],
)
def test_a_size_in_units_is_met_exactly(prompt: str, axis: int, metres: float) -> None:
    for seed in (0, 5):
        assert _size(_make(prompt, seed))[axis] == pytest.approx(metres, rel=1e-6)


def test_size_words_change_the_right_sides() -> None:
    plain = _size(_make("a table"))
    assert _size(_make("a tall table"))[1] == pytest.approx(1.6 * plain[1], rel=0.02)
    assert _size(_make("a tall table"))[0] == pytest.approx(plain[0], rel=0.02)
    assert _size(_make("a wide table"))[0] == pytest.approx(1.6 * plain[0], rel=0.02)
    assert _size(_make("a small table")) == pytest.approx([0.65 * side for side in plain], rel=0.02)
    assert _size(_make("a 2x table")) == pytest.approx([2 * side for side in plain], rel=0.02)
    assert _size(_make("a table twice as tall"))[1] == pytest.approx(2 * plain[1], rel=0.02)
    car, wide = _size(_make("a car")), _size(_make("a wide car"))
    # Tyres keep their width.
    assert wide[2] == pytest.approx(1.6 * car[2], rel=0.08)
    assert wide[0] == pytest.approx(car[0], rel=0.05)


def test_size_words_of_parts_are_used_or_named() -> None:
    def leg(prompt: str) -> float:
        made = _make(prompt)
        solid = next(part for part in made.parts if "leg" in part.name)
        return float(np.ptp(solid.vertices[:, 0]))

    assert leg("a chair with thick legs") == pytest.approx(1.5 * leg("a chair"))
    assert _make("a house with a tall roof").ignored == []
    assert _make("a house with huge windows").ignored == ["huge (the size of window is fixed in a house)"]
    assert _make("a house with a 3 m tall roof").ignored == ["3 m tall (measures are taken for whole things)"]


def test_seed_zero_is_plain_and_seeds_differ_but_repeat() -> None:
    def points(seed: int) -> Any:
        return np.concatenate([part.vertices for part in _make("a chair and a shelf", seed).parts])

    assert np.array_equal(points(0), points(0))
    assert np.array_equal(points(7), points(7))
    assert not np.allclose(points(0), points(7))
    assert not np.allclose(points(7), points(8))
    for side, other in zip(_size(_make("a cube", 0)), _size(_make("a cube", 9)), strict=True):
        assert abs(other / side - 1) <= 0.08 + 1e-9


@_all_nouns
def test_different_prompts_give_different_geometry() -> None:
    prompts = [f"a {name}" for name in NOUNS]
    prompts += ["a tall chair", "a chair with three legs", "a chair without a back", "two chairs", "a round table"]
    seen: dict[Any, str] = {}
    for prompt in prompts:
        made = _plain(prompt[2:]) if prompt[2:] in NOUNS else _make(prompt)
        key = (statistics(made.parts)["vertex_count"], tuple(_size(made)))
        assert key not in seen, (prompt, seen.get(key))
        seen[key] = prompt


def test_facets_are_flat_and_cubes_stand_on_one_grid() -> None:
    plain, facets, cubes = (_make(f"a {style} apple") for style in ("", "low poly", "voxel"))
    assert all(is_watertight(part.faces) for made in (facets, cubes) for part in made.parts)
    for made in (facets, cubes):
        assert _size(made) == pytest.approx(_size(plain), rel=0.15)
    body = facets.parts[0]
    corners = body.vertices[body.faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(crossed, axis=1)
    along = (crossed[:, None] * body.normals[body.faces]).sum(-1).min(axis=1)
    # All but the strips between them: each face has one normal, its own.
    assert areas[along > 0.99 * areas].sum() > 0.95 * areas.sum()
    middles = np.concatenate([part.vertices.reshape(-1, 24, 3).mean(axis=1) for part in cubes.parts])
    step = max(_size(plain)) / VOXELS
    places = (middles - middles[0]) / step
    assert np.allclose(places, np.round(places), atol=1e-6)
    assert len(np.unique(np.round(places), axis=0)) == len(places)


@pytest.mark.parametrize("at", [0.06, 0.4, 0.93])
def test_thin_panes_keep_their_cubes_wherever_they_lie(at: float) -> None:
    pane = trimesh.creation.box((8.0, 12.0, 0.1))
    pane.apply_translation((4.0, 6.0, at))
    cells = _cells(pane.vertices, pane.faces)
    assert len(cells) == 8 * 12
    assert len(set(cells[:, 2].tolist())) == 1


def test_a_wooden_toy_is_of_wood_all_over_and_bare_where_nothing_was_said() -> None:
    bare, red = (_make(f"a {words} toy car").parts for words in ("wooden", "red wooden"))
    assert {part.material.roughness for part in (*bare, *red)} == {0.65}
    assert red[0].material.colour == (1.0, 0.0, 0.0)
    assert bare[0].material.colour == MATERIALS["wood"].colour


def test_a_hat_is_worn_on_the_head() -> None:
    made = _make("a snowman wearing a crown")
    (crown_low, _), (_, man_high) = _box(made, "crown"), _box(made, "snowman")
    assert crown_low[1] == pytest.approx(man_high[1], abs=1e-6)


def _box(made: Assembly, name: str) -> tuple[Any, Any]:
    points = np.concatenate([p.vertices for p in made.parts if p.name.split(" / ")[0] == name])
    return points.min(axis=0), points.max(axis=0)


def test_on_in_under_and_beside() -> None:
    made = _make("a cup on a table")
    (cup_low, cup_high), (table_low, table_high) = _box(made, "cup"), _box(made, "table")
    assert cup_low[1] == pytest.approx(table_high[1], abs=1e-6)
    assert (cup_low[[0, 2]] > table_low[[0, 2]]).all()
    assert (cup_high[[0, 2]] < table_high[[0, 2]]).all()

    made = _make("a stool under a table")
    assert _box(made, "stool")[1][1] < _box(made, "table")[1][1]
    assert "scaled" not in " ".join(made.notes)

    made = _make("a flower in a vase")
    assert _box(made, "vase")[0][1] < _box(made, "flower")[0][1] < _box(made, "vase")[1][1]

    made = _make("a vase with a flower on a table")
    assert _box(made, "vase")[0][1] == pytest.approx(_box(made, "table")[1][1], abs=1e-6)
    assert _box(made, "vase")[0][1] < _box(made, "flower")[0][1] < _box(made, "vase")[1][1]

    for words, axis, sign in (("left of", 0, -1), ("right of", 0, 1), ("behind", 2, -1), ("in front of", 2, 1)):
        made = _make(f"a chair {words} a house")
        chair, house = _box(made, "chair"), _box(made, "house")
        gap = chair[0][axis] - house[1][axis] if sign > 0 else house[0][axis] - chair[1][axis]
        assert gap > 0, words


def test_what_is_too_large_is_scaled_and_said() -> None:
    made = _make("a house on a table")
    (low, high), (table_low, table_high) = _box(made, "house"), _box(made, "table")
    assert low[0] > table_low[0]
    assert high[0] < table_high[0]
    assert any("scaled house to stand on the table" in note for note in made.notes)


def test_several_things_stand_apart() -> None:
    for prompt, count in (("two chairs", 2), ("five trees", 5), ("a car, a house and a boat", 3)):
        made = _make(prompt)
        names = dict.fromkeys(part.name.split(" / ")[0] for part in made.parts)
        assert len(names) == count
        boxes = sorted((_box(made, name) for name in names), key=lambda box: float(box[0][0]))
        for one, other in itertools.pairwise(boxes):
            assert one[1][0] < other[0][0], prompt
    around = _make("four chairs around a table")
    table = _box(around, "table")
    for k in range(1, 5):
        low, high = _box(around, f"chair {k}")
        apart = (low[[0, 2]] > table[1][[0, 2]]).any() or (high[[0, 2]] < table[0][[0, 2]]).any()
        assert apart


def test_solids_have_the_volumes_of_their_formulas() -> None:
    kit = Kit()
    assert kit.box(1, 2, 3, 1e-4).volume() == pytest.approx(6, rel=1e-3)
    assert kit.cylinder(1, 2, segments=200).volume() == pytest.approx(2 * np.pi, rel=0.01)
    assert kit.ellipsoid(1, 2, 3, 120).volume() == pytest.approx(8 * np.pi, rel=0.01)
    assert kit.torus(1, 0.25, 200, 80).volume() == pytest.approx(2 * np.pi**2 * 0.25**2, rel=0.01)
    assert kit.frustum((2, 2), (1, 1), 3).volume() == pytest.approx(7, rel=0.02)
    assert kit.tube([(0, 0, 0), (0, 5, 0)], 0.1, 80).volume() == pytest.approx(np.pi * 0.01 * 5.08, rel=0.02)


def test_a_bevel_leaves_flat_faces_flat() -> None:
    box = Kit().box(2, 1, 1)
    from pocket3d.adapters.mesh.write import vertex_normals

    normals = vertex_normals(box.vertices.numpy(), box.faces.numpy())
    # 24 vertices, each on one of the six faces, each looking nearly along its axis.
    assert len(normals) == 24
    assert (np.abs(normals).max(axis=1) > 0.99).all()


def test_a_polygon_with_bays_is_triangulated_whole() -> None:
    comb = [(0, 0), (5, 0), (5, 3), (4, 3), (4, 1), (3, 1), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)]
    points = np.array(comb, dtype=float)
    area = 0.0
    for a, b, c in triangulated(comb):
        u, v = points[b] - points[a], points[c] - points[a]
        piece = (u[0] * v[1] - u[1] * v[0]) / 2
        assert piece > 0
        area += piece
    assert area == pytest.approx(11)
