"""What a shape function reads and fills: the measures of the object to build, and the pieces that it consists of."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from .colours import RGB
from .noun import Noun
from .placing import SupportArea
from .scene import TURNED, ObjectRequest, Scale
from .solids import Kit, Solid

#: How far a seed may change a proportion.
SPREAD = 0.08


@dataclass(frozen=True)
class Piece:
    """One body and its role, a key of the noun's `paint`."""

    role: str
    solid: Solid
    #: Its own look where nothing was said of its role: books differ.
    colour: RGB | None = None


class Design:
    """The measures of one object, and what its shape function makes of them: pieces that stand on y = 0 about the
    origin, the front towards +z. It records which measures are read, so that unused words can be named.

    With seed 0 it has the usual proportions; others vary each by up to `SPREAD`, and by `index` among its equals.
    """

    def __init__(self, noun: Noun, request: ObjectRequest, kit: Kit, seed: int = 0, index: int = 0) -> None:
        self.pieces: list[Piece] = []
        #: Where others may stand: on top of it, and inside it (a vase).
        self.top: SupportArea | None = None
        self.hollow: SupportArea | None = None
        #: Below it (a table): the height that is free.
        self.clearance = 0.0
        #: A flat top made to put things on: "a table with a lamp" means on it.
        self.serves = False
        self.noun = noun
        self.request = request
        self.kit = kit
        self._seed = seed
        self.random = random.Random(f"{seed}/{noun.name}/{index}")
        factors = [1.0, 1.0, 1.0]
        for scale in request.attributes.scales:
            for axis, factor in enumerate(_turned(scale, noun)):
                factors[axis] *= factor
        #: Thickness of details: a tall chair has no thicker legs, a big one does.
        self.u = sorted(factors)[1]
        along, across = (2, 0) if noun.lengthwise == "z" else (0, 2 if noun.lengthwise else 0)
        axes = {"tall": 1, "long": along, "wide": across, "deep": 2, "": along if noun.lengthwise else 1}
        measures = request.attributes.measures
        #: Sizes given in metres, by axis.
        self.targets = {axes[measure.axis]: measure.metres for measure in measures}
        size = [noun.size[axis] * factors[axis] for axis in range(3)]
        if self.targets:
            # "an 80 cm table" is a table scaled as a whole; further axes keep their own say.
            first, metres = next(iter(self.targets.items()))
            ratio = metres / size[first]
            alone = len(self.targets) == 1 and not any(measure.axis for measure in measures)
            size = [metres if axis == first else side * (ratio if alone else 1) for axis, side in enumerate(size)]
            self.u *= ratio if alone else 1
            for axis, wanted in self.targets.items():
                size[axis] = wanted
        self.w, self.h, self.d = (side * self.vary() for side in size)
        self.form = request.attributes.form if request.attributes.form in noun.forms else None
        self._consulted: set[tuple[str, str]] = set()

    def add(self, role: str, *solids: Solid, colour: RGB | None = None) -> None:
        """Add bodies under a role."""
        self.pieces += [Piece(role, solid, colour) for solid in solids]

    def stretch(self, x: float, y: float, z: float, lift: float = 0.0) -> None:
        """Lift the pieces by metres, then scale them about the origin."""
        self.pieces = [Piece(p.role, p.solid.moved(y=lift).scaled(x, y, z), p.colour) for p in self.pieces]

    def vary(self) -> float:
        """A factor near 1; exactly 1 with seed 0."""
        draw = self.random.uniform(-1, 1)
        return 1.0 if self._seed == 0 else 1.0 + SPREAD * draw

    def count(self, part: str) -> int:
        """Number of parts of that name."""
        request = self.request.parts.get(part)
        if request is not None and request.count is not None:
            return request.count
        rule = self.noun.part(part)
        if rule is None:
            raise KeyError(f"{self.noun.name} has no part {part}")
        # Named without a number, it is wanted: "a chair with arms".
        return max(rule.default, min(2, rule.most)) if request is not None and rule.default == 0 else rule.default

    def thick(self, part: str) -> float:
        """Factor on a part's thickness, from the words said of it, times the thing's own."""
        return self.u * self._part_factor(part, "thick") * self.vary()

    def long(self, part: str) -> float:
        """Factor on a part's length or height, from the words said of it."""
        return self._part_factor(part, "long") * self.vary()

    def _part_factor(self, part: str, side: str) -> float:
        self._consulted.add((part, side))
        request = self.request.parts.get(part)
        return math.prod(_part_sides(scale)[side] for scale in (request.attributes.scales if request else ()))

    def unused(self) -> list[str]:
        """Size words of parts that no measure of this object uses. To be called after building."""
        words = []
        for request in self.request.parts.values():
            for scale in request.attributes.scales:
                wanted = {(request.name, side) for side, factor in _part_sides(scale).items() if factor != 1.0}
                if wanted and not wanted & self._consulted:
                    words.append(f"{scale.phrase} (the size of {request.name} is fixed in a {self.noun.name})")
            words += [f"{m.phrase} (measures are taken for whole things)" for m in request.attributes.measures]
        return words


def _turned(scale: Scale, noun: Noun) -> tuple[float, float, float]:
    width, height, depth = scale.factors
    across = (scale.word == "long") if noun.lengthwise == "z" else (noun.lengthwise == "x" and scale.word != "long")
    if scale.word in TURNED and across:
        return depth, height, width
    return width, height, depth


def _part_sides(scale: Scale) -> dict[str, float]:
    width, height, depth = scale.factors
    if scale.word == "long":
        return {"thick": 1.0, "long": width}
    if scale.word in ("deep", "shallow"):
        return {"thick": depth, "long": 1.0}
    return {"thick": width, "long": height}


def spots(count: int, width: float, depth: float, form: str | None = None) -> list[tuple[float, float]]:
    """Where `count` legs stand under a plate: (x, z)."""
    if count == 1:
        return [(0.0, 0.0)]
    x, z = width / 2, depth / 2
    if form == "round" or (count > 4 and count % 2):
        turn = 2 * math.pi / count
        return [(x * math.sin(turn * (i + 0.5)), z * math.cos(turn * (i + 0.5))) for i in range(count)]
    if count == 2:
        return [(-x, 0.0), (x, 0.0)]
    if count == 3:
        return [(-x, z), (x, z), (0.0, -z)]
    along = count // 2
    places = [-x + 2 * x * i / (along - 1) for i in range(along)]
    return [(place, side) for side in (z, -z) for place in places]
