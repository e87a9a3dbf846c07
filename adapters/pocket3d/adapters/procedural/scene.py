"""What a prompt asks for, once read: things with their attributes and parts, and how they stand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .colours import RGB

#: Words whose axis depends on which way the thing is long.
TURNED = frozenset({"long", "wide", "broad", "narrow"})


@dataclass(frozen=True)
class Scale:
    """A size word: what was said, and its factors on width, height and depth."""

    said: str
    word: str
    factors: tuple[float, float, float]


@dataclass(frozen=True)
class Measure:
    """A size in metres along `axis` (`tall`, `wide`, `long`, `deep`), or along the thing's usual one ("")."""

    said: str
    axis: str
    metres: float


@dataclass(frozen=True)
class Attributes:
    """What is said of one thing or part."""

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
        """Both; a later material or shade wins."""
        return Attributes(
            self.colours + later.colours,
            later.material or self.material,
            later.shade or self.shade,
            self.scales + later.scales,
            self.measures + later.measures,
            later.form or self.form,
        )

    def summary(self) -> dict[str, Any]:
        """For `generation_info`, without what was not said."""
        facts: dict[str, Any] = {
            "colours": [said for said, _ in self.colours],
            "material": " ".join(word for word in (self.shade, self.material) if word),
            "form": self.form,
            "size": [scale.said for scale in self.scales],
            "measures_m": {measure.axis or "usual": round(measure.metres, 6) for measure in self.measures},
        }
        return {key: value for key, value in facts.items() if value}


@dataclass(frozen=True)
class PartAsk:
    """What is said of one kind of part of a thing."""

    name: str
    #: None: as many as usual.
    count: int | None = None
    attributes: Attributes = Attributes()

    def joined(self, later: PartAsk) -> PartAsk:
        """Both; a later count wins."""
        count = self.count if later.count is None else later.count
        return PartAsk(self.name, count, self.attributes.joined(later.attributes))


@dataclass(frozen=True)
class ObjectAsk:
    """`count` things of one kind."""

    noun: str
    #: The word of the prompt.
    said: str
    count: int = 1
    attributes: Attributes = Attributes()
    parts: dict[str, PartAsk] = field(default_factory=dict)

    def with_part(self, ask: PartAsk) -> ObjectAsk:
        """This, knowing more of one part."""
        known = self.parts.get(ask.name, PartAsk(ask.name))
        return replace(self, parts={**self.parts, ask.name: known.joined(ask)})

    def with_attributes(self, more: Attributes) -> ObjectAsk:
        """This, knowing more of the whole."""
        return replace(self, attributes=self.attributes.joined(more))

    def summary(self) -> dict[str, Any]:
        """For `generation_info`."""
        facts: dict[str, Any] = {"object": self.noun, "count": self.count, **self.attributes.summary()}
        if self.said != self.noun:
            facts["said"] = self.said
        parts = []
        for ask in self.parts.values():
            part: dict[str, Any] = {"part": ask.name}
            if ask.count is not None:
                part["count"] = ask.count
            parts.append({**part, **ask.attributes.summary()})
        if parts:
            facts["parts"] = parts
        return facts


@dataclass(frozen=True)
class Relation:
    """Thing number `first` stands to thing number `second`, which is placed before it, as `kind` says."""

    kind: str
    first: int
    second: int


@dataclass(frozen=True)
class Scene:
    """A prompt, read."""

    objects: tuple[ObjectAsk, ...]
    relations: tuple[Relation, ...]
    #: Words of the prompt that changed nothing, with the reason where there is one.
    ignored: tuple[str, ...]

    def understood(self) -> dict[str, Any]:
        """For `generation_info`."""
        facts: dict[str, Any] = {"objects": [ask.summary() for ask in self.objects]}
        if self.relations:
            facts["relations"] = [
                f"{self.objects[r.first].noun} {r.kind} {self.objects[r.second].noun}" for r in self.relations
            ]
        return facts
