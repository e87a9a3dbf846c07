"""A parsed prompt: objects with their attributes and parts, and the relations between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .colours import RGB

#: Words whose axis depends on which way the thing is long.
TURNED = frozenset({"long", "wide", "broad", "narrow"})


@dataclass(frozen=True)
class Scale:
    """A size word: its phrase in the prompt, and its factors on width, height and depth."""

    phrase: str
    word: str
    factors: tuple[float, float, float]


@dataclass(frozen=True)
class Measure:
    """A size in metres along `axis` (`tall`, `wide`, `long`, `deep`), or along the noun's usual one ("")."""

    phrase: str
    axis: str
    metres: float


@dataclass(frozen=True)
class Attributes:
    """Attributes of one object or part."""

    #: (what was said, sRGB) in order: the first is the main colour, the second the accent.
    colours: tuple[tuple[str, RGB], ...] = ()
    #: A key of `MATERIALS`, or None.
    material: str | None = None
    #: A key of `SHADES` that stands before a material ("dark wood").
    shade: str | None = None
    scales: tuple[Scale, ...] = ()
    measures: tuple[Measure, ...] = ()
    #: A value of `FORMS`: the outline seen from above.
    form: str | None = None

    def __bool__(self) -> bool:
        return self != Attributes()

    def joined(self, later: Attributes) -> Attributes:
        """Both attributes together; a later material or shade wins."""
        return Attributes(
            self.colours + later.colours,
            later.material or self.material,
            later.shade or self.shade,
            self.scales + later.scales,
            self.measures + later.measures,
            later.form or self.form,
        )

    def said(self) -> list[str]:
        """The words that they came from."""
        words = [said for said, _ in self.colours] + [word for word in (self.material, self.form) if word]
        return words + [scale.phrase for scale in self.scales] + [measure.phrase for measure in self.measures]

    def summary(self) -> dict[str, Any]:
        """The attributes as `generation_info` lists them, without empty ones."""
        facts: dict[str, Any] = {
            "colours": [said for said, _ in self.colours],
            "material": " ".join(word for word in (self.shade, self.material) if word),
            "form": self.form,
            "size": [scale.phrase for scale in self.scales],
            "measures_m": {measure.axis or "usual": round(measure.metres, 6) for measure in self.measures},
        }
        return {key: value for key, value in facts.items() if value}


@dataclass(frozen=True)
class PartRequest:
    """The request for one kind of part of an object."""

    name: str
    #: None: as many as usual.
    count: int | None = None
    attributes: Attributes = Attributes()

    def joined(self, later: PartRequest) -> PartRequest:
        """Both requests together; a later count wins."""
        count = self.count if later.count is None else later.count
        return PartRequest(self.name, count, self.attributes.joined(later.attributes))

    def summary(self) -> dict[str, Any]:
        """For `generation_info`."""
        count = {} if self.count is None else {"count": self.count}
        return {"part": self.name, **count, **self.attributes.summary()}


@dataclass(frozen=True)
class ObjectRequest:
    """The request for `count` objects of one noun."""

    noun: str
    #: The word of the prompt.
    phrase: str
    count: int = 1
    attributes: Attributes = Attributes()
    parts: dict[str, PartRequest] = field(default_factory=dict)

    def with_part(self, request: PartRequest) -> ObjectRequest:
        """This request with another part, merged with what it has of that part."""
        known = self.parts.get(request.name, PartRequest(request.name))
        return replace(self, parts={**self.parts, request.name: known.joined(request)})

    def summary(self) -> dict[str, Any]:
        """For `generation_info`."""
        facts: dict[str, Any] = {"object": self.noun, "count": self.count, **self.attributes.summary()}
        if self.phrase != self.noun:
            facts["said"] = self.phrase
        if self.parts:
            facts["parts"] = [request.summary() for request in self.parts.values()]
        return facts


@dataclass(frozen=True)
class Relation:
    """Object number `first` is placed by `kind` in relation to object number `second`, which is placed before it."""

    kind: str
    first: int
    second: int


@dataclass(frozen=True)
class Scene:
    """A parsed prompt."""

    objects: tuple[ObjectRequest, ...]
    relations: tuple[Relation, ...]
    #: Words of the prompt that changed nothing, with the reason where there is one.
    ignored: tuple[str, ...]
    #: What is made otherwise than it was said.
    notes: tuple[str, ...] = ()
    #: A style of `styles`; "" for none.
    style: str = ""

    def understood(self) -> dict[str, Any]:
        """For `generation_info`."""
        facts: dict[str, Any] = {"objects": [request.summary() for request in self.objects]}
        if self.relations:
            facts["relations"] = [
                f"{self.objects[r.first].noun} {r.kind} {self.objects[r.second].noun}" for r in self.relations
            ]
        if self.style:
            facts["style"] = self.style
        return facts
