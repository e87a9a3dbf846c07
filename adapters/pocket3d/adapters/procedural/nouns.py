"""The things that can be built, with their parts, sizes and looks. Data only.

A noun's entry is everything that the parser and the painter need; its shape is a function of the same name in one of
the shape modules. Sizes are metres of the real thing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartRule:
    """A part that a prompt may speak of: how many there are, and how many may be asked for."""

    name: str
    default: int
    least: int
    most: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Noun:
    """One thing that can be built."""

    name: str
    aliases: tuple[str, ...]
    #: Width (x), height (y), depth (z), metres.
    size: tuple[float, float, float]
    parts: tuple[PartRule, ...]
    #: Role -> (colour code or "", material): how it looks unless told otherwise. "" is the material's own colour.
    paint: dict[str, tuple[str, str]]
    #: Roles that take the colour and material said of the whole thing.
    tinted: tuple[str, ...]
    #: Roles that take a second colour ("a red and white rocket").
    accent: tuple[str, ...] = ()
    #: The axis of "long": x, or z; "wide" is then the other one.
    lengthwise: str = ""
    #: What a bare measure ("a 3 m boat") means.
    measure: str = "height"
    #: Outlines of `FORMS` that it can have.
    forms: tuple[str, ...] = ()

    def part(self, word: str) -> PartRule | None:
        """The part of that name or alias (singular)."""
        for rule in self.parts:
            if word == rule.name or word in rule.aliases:
                return rule
        return None


def _part(text: str) -> PartRule:
    """`leg 4 1-12 foot`: name, default, range, aliases."""
    name, default, span, *aliases = text.split()
    least, most = span.split("-")
    return PartRule(name, int(default), int(least), int(most), tuple(aliases))


def _noun(
    name: str,
    aliases: str,
    size: tuple[float, float, float],
    parts: str,
    paint: str,
    tinted: str,
    accent: str = "",
    lengthwise: str = "",
    measure: str = "height",
    forms: tuple[str, ...] = (),
) -> Noun:
    looks: dict[str, tuple[str, str]] = {}
    for entry in paint.split():
        role, material, *code = entry.split(":")
        looks[role] = (code[0] if code else "", material)
    rules = tuple(_part(text) for text in parts.split(",") if text.strip())
    return Noun(
        name,
        tuple(a.strip() for a in aliases.split(",") if a.strip()),
        size,
        rules,
        looks,
        tuple(tinted.split()),
        tuple(accent.split()),
        lengthwise,
        measure,
        forms,
    )


_ALL = (
    # furniture
    _noun(
        "chair",
        "",
        (0.46, 0.92, 0.5),
        "leg 4 1-12 foot,back 1 0-1 backrest,seat 1 1-1 cushion,arm 0 0-2 armrest",
        "leg:wood back:wood seat:wood arm:wood",
        "leg back seat arm",
        "seat",
    ),
    _noun(
        "armchair",
        "easy chair",
        (0.9, 0.9, 0.85),
        "leg 4 2-8 foot,back 1 0-1 backrest,seat 1 1-1 cushion,arm 2 0-2 armrest,pillow 0 0-2",
        "leg:wood:4a3525 back:fabric:7d8ca3 seat:fabric:8f9db3 arm:fabric:7d8ca3 pillow:fabric:e8e2d5",
        "back seat arm",
        "pillow",
    ),
    _noun(
        "table",
        "desk,dining table,coffee table,picnic table",
        (1.4, 0.75, 0.8),
        "leg 4 1-16 foot,top 1 1-1 tabletop surface,drawer 0 0-4",
        "leg:wood top:wood drawer:walnut knob:brass",
        "leg top",
        "top",
        forms=("round", "square"),
    ),
    _noun(
        "stool",
        "bar stool",
        (0.38, 0.6, 0.38),
        "leg 4 1-10 foot,seat 1 1-1 top cushion",
        "leg:wood seat:wood",
        "leg seat",
        "seat",
        forms=("round", "square"),
    ),
    _noun(
        "bench",
        "park bench",
        (1.5, 0.82, 0.5),
        "leg 4 2-16 foot,back 1 0-1 backrest,seat 1 1-1",
        "leg:iron:3a3d40 back:wood seat:wood",
        "back seat",
        "leg",
    ),
    _noun(
        "bed",
        "",
        (1.6, 1.0, 2.1),
        "leg 4 2-8 foot,pillow 2 0-4,headboard 1 0-1 back,mattress 1 1-1,blanket 1 0-1 cover duvet",
        "leg:wood frame:wood headboard:wood mattress:fabric:f4f1ea pillow:fabric:ffffff blanket:fabric:5f7fae",
        "leg frame headboard",
        "blanket",
        "z",
        "length",
    ),
    _noun(
        "shelf",
        "bookcase,bookshelf,rack",
        (0.9, 1.8, 0.32),
        "board 5 2-12 shelf level,book 18 0-60,side 2 2-2,back 1 0-1",
        "board:wood side:wood back:wood:8c6236 book:paper",
        "board side back",
        "back",
    ),
    _noun(
        "sofa",
        "couch,settee",
        (2.0, 0.82, 0.9),
        "leg 4 2-10 foot,seat 3 1-6 cushion,back 1 0-1 backrest,arm 2 0-2 armrest,pillow 0 0-6",
        "leg:wood:4a3525 seat:fabric:8f9db3 back:fabric:7d8ca3 arm:fabric:7d8ca3 pillow:fabric:e8e2d5",
        "seat back arm",
        "pillow",
    ),
    _noun(
        "wardrobe",
        "cabinet,cupboard,closet,dresser",
        (1.1, 1.9, 0.58),
        "door 2 1-4,leg 4 2-8 foot,knob 2 0-8 handle",
        "body:wood door:wood:b5824c leg:wood:6b4a2e knob:brass",
        "body door",
        "door",
    ),
    _noun(
        "lamp",
        "floor lamp,table lamp,desk lamp,lantern",
        (0.36, 0.6, 0.36),
        "shade 1 1-1 lampshade,base 1 1-1 foot,pole 1 1-1 stem stand,bulb 1 0-1",
        "shade:fabric:f3e3bd base:brass pole:brass bulb:pane:fff6c8",
        "shade",
        "base pole",
    ),
    # buildings
    _noun(
        "house",
        "home,cottage,hut,cabin",
        (8.0, 7.0, 7.0),
        "roof 1 1-1,door 1 0-2,window 4 0-12,chimney 1 0-3,wall 1 1-1",
        "wall:concrete:efe6d2 roof:clay:a8442f door:wood:5b3a22 window:pane:9cc7e0 frame:plastic:ffffff chimney:brick",
        "wall",
        "roof",
    ),
    _noun(
        "tower",
        "lighthouse,turret",
        (5.0, 16.0, 5.0),
        "roof 1 0-1,window 6 0-24,door 1 0-1,merlon 10 0-32 battlement,wall 1 1-1",
        "wall:stone roof:clay:7c3b2e window:pane:2e3b4a door:wood:5b3a22 merlon:stone",
        "wall merlon",
        "roof",
    ),
    _noun(
        "castle",
        "fortress,fort,palace",
        (26.0, 18.0, 26.0),
        "tower 4 2-12 turret,wall 1 1-1,gate 1 0-1 door,roof 1 0-1,merlon 10 0-16 battlement,flag 0 0-12,keep 1 0-1",
        "tower:stone wall:stone:9a968c merlon:stone roof:clay:5a6fa8 gate:wood:5b3a22 flag:fabric:c8102e pole:iron"
        " keep:stone:a39f95",
        "tower wall merlon keep",
        "roof",
    ),
    _noun("pyramid", "", (20.0, 13.0, 20.0), "step 0 0-20 tier layer", "body:sand", "body"),
    _noun(
        "bridge",
        "",
        (24.0, 6.0, 5.0),
        "arch 3 1-9,rail 2 0-2 railing parapet",
        "body:stone rail:stone:a09d95 deck:concrete:77756f",
        "body rail",
        "rail",
        "x",
        "length",
    ),
    # vehicles
    _noun(
        "car",
        "automobile,taxi",
        (4.2, 1.45, 1.75),
        "wheel 4 3-8 tyre tire,window 1 0-1 windscreen,light 4 0-4 headlight lamp,body 1 1-1",
        "body:plastic:c0262d wheel:rubber hub:aluminium window:pane:31414f light:pane:fff3c4 bumper:plastic:2b2d30",
        "body",
        "hub",
        "x",
        "length",
    ),
    _noun(
        "truck",
        "lorry",
        (6.5, 2.8, 2.2),
        "wheel 6 4-12 tyre tire,window 1 0-1 windscreen,light 2 0-2 headlight,cab 1 1-1,cargo 1 0-1 box bed container",
        "cab:plastic:2f6fb5 cargo:plastic:e6e6e2 wheel:rubber hub:aluminium window:pane:31414f light:pane:fff3c4"
        " frame:iron",
        "cab",
        "cargo",
        "x",
        "length",
    ),
    _noun(
        "rocket",
        "spaceship,space ship,spacecraft,missile",
        (3.0, 12.0, 3.0),
        "fin 4 2-12 wing,window 1 0-5 porthole,nose 1 1-1 tip nosecone,body 1 1-1 hull,engine 1 1-7 nozzle thruster",
        "body:plastic:f2f2f0 nose:plastic:d43a2f fin:plastic:d43a2f window:pane:5fa8d8 frame:steel engine:iron",
        "body",
        "nose fin",
    ),
    _noun(
        "boat",
        "ship,sailboat,sailing boat",
        (5.0, 5.6, 1.9),
        "sail 2 0-3,mast 1 0-3,hull 1 1-1 body,cabin 0 0-1",
        "hull:wood:8b4f2b deck:wood:d9b27c mast:wood:c79a62 sail:fabric:faf6ea cabin:plastic:f4f4f4",
        "hull",
        "sail",
        "x",
        "length",
    ),
    _noun(
        "airplane",
        "plane,aeroplane,aircraft,jet,airliner",
        (9.0, 2.9, 9.5),
        "wing 2 2-4,engine 2 0-6 jet turbine,window 14 0-40,tail 1 1-1 fin,body 1 1-1 fuselage hull",
        "body:plastic:f4f5f7 wing:aluminium:d4d8dd tail:plastic:2f6fb5 engine:steel:8d949c window:pane:25313d",
        "body",
        "tail wing",
        "x",
        "length",
    ),
    # nature
    _noun(
        "tree",
        "oak tree,apple tree",
        (4.0, 5.5, 4.0),
        "branch 5 0-12,crown 1 0-1 leaf foliage,trunk 1 1-1 stem,apple 0 0-40 fruit",
        "crown:leaf trunk:wood:6e4a2c branch:wood:6e4a2c apple:plastic:d7262b",
        "crown",
        "apple",
    ),
    _noun(
        "pine",
        "pine tree,fir,fir tree,christmas tree,spruce,conifer",
        (3.2, 6.5, 3.2),
        "tier 4 1-10 layer branch,trunk 1 1-1,star 0 0-1,ball 0 0-40 bauble ornament",
        "tier:leaf:23623a trunk:wood:6e4a2c star:gold ball:metal:d7262b",
        "tier",
        "ball",
    ),
    _noun(
        "cactus",
        "cacti,saguaro",
        (0.9, 1.8, 0.45),
        "arm 2 0-6 branch,flower 0 0-6 blossom,pot 0 0-1",
        "body:leaf:3f8a4e arm:leaf:3f8a4e flower:leaf:e65a9c pot:clay",
        "body arm",
        "flower",
    ),
    _noun(
        "flower",
        "rose,daisy,sunflower,tulip,blossom",
        (0.3, 0.6, 0.3),
        "petal 8 3-24,leaf 2 0-8,stem 1 1-1 stalk,center 1 1-1 centre middle,pot 0 0-1",
        "petal:leaf:e84a7f center:leaf:f6c534 stem:leaf leaf:leaf pot:clay",
        "petal",
        "center",
    ),
    _noun(
        "mushroom",
        "toadstool",
        (0.24, 0.26, 0.24),
        "cap 1 1-1 hat,stem 1 1-1 stalk,spot 9 0-30 dot",
        "cap:leaf:c8281e stem:leaf:f3ead6 spot:leaf:fffaf0 gill:leaf:e9d9b8",
        "cap",
        "spot",
    ),
    _noun(
        "snowman",
        "snow man",
        (1.0, 1.9, 1.0),
        "ball 3 2-5 body,button 3 0-8,hat 1 0-1,arm 2 0-2,nose 1 0-1 carrot,eye 2 0-2,scarf 0 0-1",
        "ball:snow button:stone:1d1d20 hat:fabric:1d1d20 arm:wood:5a3d26 nose:plastic:f0801f eye:stone:1d1d20"
        " scarf:fabric:c8202e",
        "ball",
        "hat scarf",
    ),
    _noun(
        "fish",
        "goldfish",
        (0.5, 0.28, 0.14),
        "fin 3 0-5,tail 1 1-1,eye 2 0-2,body 1 1-1",
        "body:plastic:f28a1c fin:plastic:e4641a tail:plastic:e4641a eye:pane:15181c",
        "body",
        "fin tail",
        "x",
        "length",
    ),
    # vessels
    _noun(
        "cup",
        "mug,teacup,coffee cup",
        (0.115, 0.095, 0.085),
        "handle 1 0-2,saucer 0 0-1 plate",
        "body:ceramic handle:ceramic saucer:ceramic",
        "body handle saucer",
        "handle",
    ),
    _noun(
        "vase",
        "",
        (0.2, 0.38, 0.2),
        "handle 0 0-2",
        "body:ceramic:3d6f8e handle:ceramic:3d6f8e",
        "body handle",
        "handle",
    ),
    _noun(
        "bowl",
        "",
        (0.26, 0.11, 0.26),
        "foot 1 0-1 base",
        "body:ceramic:e7e0d0 foot:ceramic:e7e0d0",
        "body foot",
        "foot",
    ),
    _noun(
        "bottle",
        "flask",
        (0.08, 0.3, 0.08),
        "cap 1 0-1 cork lid,label 1 0-1",
        "body:glass:3f7a4a cap:wood:c9a06a label:paper",
        "body",
        "label",
    ),
    _noun(
        "goblet",
        "chalice,wineglass,wine glass,trophy",
        (0.09, 0.2, 0.09),
        "handle 0 0-2",
        "body:gold handle:gold",
        "body handle",
    ),
    # tools and things
    _noun(
        "ladder",
        "",
        (0.5, 2.6, 0.07),
        "rung 8 2-40 step,rail 2 2-2 side",
        "rung:wood rail:wood",
        "rung rail",
        "rung",
    ),
    _noun(
        "sword",
        "blade",
        (0.24, 1.05, 0.05),
        "blade 1 1-1,guard 1 1-1 crossguard,grip 1 1-1 handle hilt,pommel 1 0-1",
        "blade:steel guard:brass grip:leather pommel:brass",
        "blade",
        "guard pommel",
        "",
        "height",
    ),
    _noun(
        "hammer",
        "mallet",
        (0.15, 0.34, 0.045),
        "head 1 1-1,handle 1 1-1 grip shaft",
        "head:steel handle:wood",
        "head",
        "handle",
    ),
    _noun(
        "gear", "cog,cogwheel,sprocket", (0.2, 0.2, 0.04), "tooth 12 6-60 teeth,hole 1 0-1 bore", "body:steel", "body"
    ),
    _noun(
        "wheel",
        "",
        (0.6, 0.6, 0.14),
        "spoke 8 3-32,tyre 1 0-1 tire,hub 1 1-1,rim 1 1-1",
        "tyre:rubber rim:aluminium spoke:aluminium hub:steel",
        "rim spoke hub",
        "tyre",
    ),
    _noun(
        "candle",
        "",
        (0.07, 0.2, 0.07),
        "flame 1 0-1 fire,wick 1 1-1,holder 0 0-1 plate",
        "body:wax flame:pane:ffb32e wick:fabric:2a2420 holder:brass",
        "body",
        "flame",
    ),
    _noun(
        "barrel",
        "keg,cask",
        (0.6, 0.85, 0.6),
        "hoop 4 0-8 band ring",
        "body:wood hoop:iron",
        "body",
        "hoop",
    ),
    # primitives
    _noun("cube", "box,block,crate,brick block", (1.0, 1.0, 1.0), "", "body:plastic:b9bec6", "body"),
    _noun("sphere", "ball,globe,orb", (1.0, 1.0, 1.0), "", "body:plastic:b9bec6", "body"),
    _noun("cylinder", "tube,disc,disk", (0.8, 1.0, 0.8), "", "body:plastic:b9bec6", "body"),
    _noun(
        "cone",
        "traffic cone",
        (0.9, 1.0, 0.9),
        "stripe 0 0-4 band ring",
        "body:plastic:b9bec6 stripe:plastic:ffffff",
        "body",
        "stripe",
    ),
    _noun("torus", "ring,donut,doughnut", (1.0, 0.3, 1.0), "", "body:plastic:b9bec6", "body"),
    _noun("star", "", (1.0, 1.0, 0.25), "point 5 3-16 tip ray", "body:plastic:f4c430", "body"),
    _noun("heart", "", (1.0, 0.95, 0.35), "", "body:plastic:d3202f", "body"),
)

NOUNS: dict[str, Noun] = {noun.name: noun for noun in _ALL}
#: Words of a name -> noun; longer ones are tried first.
NAMES: dict[tuple[str, ...], str] = {
    tuple(alias.split()): noun.name for noun in _ALL for alias in (noun.name, *noun.aliases)
}
#: Every word that is a part of something.
PART_WORDS: frozenset[str] = frozenset(
    word for noun in _ALL for rule in noun.parts for word in (rule.name, *rule.aliases)
)
