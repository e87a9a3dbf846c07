"""Musical instruments."""

from __future__ import annotations

from ..bodies import DARK
from ..recipe import (
    Parts,
    ball,
    both,
    box,
    cushion,
    cyl,
    hoop,
    joined,
    lathe,
    part,
    plate,
    tube,
)
from ..thing import thing

_EBONY, _STRING = "wood:2a1d18", "steel:d9dcdf"


def _waisted(
    body: str, plank: str, size: float, deep: float, neck: float, *, strings: int = 6, holes: str = "round"
) -> Parts:
    """A guitar or violin that stands on its body: two round bouts with a waist between, a neck and its head."""
    outline = (
        "0,0 .2,.02 .3,.16 .28,.32 .2,.44 .22,.56 .18,.68 0,.72 -.18,.68 -.22,.56 -.2,.44 -.28,.32 -.3,.16 -.2,.02"
    )
    spread = [0.012 * (i - (strings - 1) / 2) for i in range(strings)]
    front = deep / 2
    mouth = (
        (hoop(0.075, 0.014, 28).turn(90, "x").at(0, 0.45, front), cyl(0.07, 0.006).turn(90, "x").at(0, 0.45, front))
        if holes == "round"
        else both(tube(f".12,.3,{front} .1,.36,{front} .12,.44,{front} .1,.48,{front}", 0.01, 3, 6), axis="x")
    )
    return (
        part("body", body, plate(outline, deep, 3).by(size, size, 1)),
        part("front", plank, plate(outline, 0.012, 3).by(size * 0.97, size * 0.97, 1).at(0, 0.01, front)),
        part("hole", DARK, mouth),
        part("neck", _EBONY, box(0.075, neck, 0.035).at(0, 0.5 * size, front + 0.012), *(box(0.2 * size, 0.03,
            0.02).at(0, 0.2 * size, front + 0.012) for _ in (1,))),
        part("head", body, plate("-.045,0 .045,0 .07,.05 .06,.2 -.06,.2 -.07,.05", 0.03).turn(-6, "x").at(0,
            0.5 * size + neck, front + 0.01)),
        part("peg", "brass", both(*(ball(0.018, segments=10).at(0.085, 0.5 * size + neck + 0.06 + 0.055 * i, front)
            for i in range((strings + 1) // 2)), axis="x")),
        part("string", _STRING, *(tube(f"{x},{0.21 * size},{front + 0.036} "
            f"{x},{0.5 * size + neck + 0.02},{front + 0.036}", 0.0028, 1, 5) for x in spread)),
    )  # fmt: skip


# fmt: off
THINGS = (
    thing("guitar", 1.0, _waisted("wood:b5682c", "wood:e6b56a", 1.0, 0.12, 0.62),
        also="acoustic guitar, ukulele, banjo, lute, mandolin"),
    thing("electric guitar", 1.0, part("body", "plastic:c8202c",
        plate("0,.0 .2,-.02 .28,.12 .22,.28 .24,.4 .27,.54 .16,.5 .08,.44 -.06,.46 -.16,.6 -.24,.62 -.22,.42 "
            "-.2,.28 -.28,.12 -.2,-.02",
        0.06, 2).at(0, 0.03)), part("guard", "plastic:f6f4ee", plate("0,.08 .16,.1 .15,.3 .1,.42 -.06,.42 -.1,.2",
        0.012, 2).at(0, 0.03, 0.034)), part("neck", _EBONY, box(0.07, 0.66, 0.03).at(0, 0.4, 0.045)), part("head",
        "wood:d9a86a", plate("-.04,0 .04,0 .08,.06 .02,.22 -.05,.18", 0.03).at(0, 1.06, 0.04)), part("pickup", DARK,
        *(box(0.12, 0.035, 0.02).at(0, y, 0.04) for y in (0.2, 0.3, 0.38))), part("knob", "chrome", *(cyl(0.022, 0.03,
        segments=14).turn(90, "x").at(x, y, 0.03) for x, y in ((0.14, 0.14), (0.17, 0.22)))), part("peg", "chrome",
        *(ball(0.016, segments=10).at(-0.075, 1.1 + 0.028 * i, 0.04) for i in range(6))), part("string", _STRING,
        *(tube(f"{0.009 * (i - 2.5)},.16,.068 {0.009 * (i - 2.5)},1.1,.068", 0.0025, 1, 5) for i in range(6))),
        also="bass guitar, bass"),
    thing("violin", 0.6, _waisted("wood:9a4a1e", "wood:b8622a", 1.0, 0.09, 0.4, strings=4, holes="f"), part("rest",
        _EBONY, cushion(0.16, 0.1, 0.06, 3).at(0.1, 0.06, 0.04)), part("bow", "wood:7a3a1a",
        tube(".42,0,.02 .46,.5,.02 .42,1.0,.02", 0.01, 3, 6), tube(".4,.02,.02 .4,.98,.02", 0.006, 1, 5)),
        also="fiddle, viola"),
    thing("cello", 1.25, _waisted("wood:8a3f1a", "wood:a8562a", 1.2, 0.16, 0.42, strings=4, holes="f"), part("spike",
        "steel", cyl(0.012, 0.2, segments=10).at(0, -0.2)), also="double bass, contrabass"),
    thing("piano", 1.5, part("case", _EBONY, box(1.0, 0.36, 0.3).at(0, 0.42, -0.1), box(1.0, 0.42, 0.28).at(0, 0,
        -0.11), box(1.06, 0.05, 0.36).at(0, 0.76, -0.1), box(1.0, 0.06, 0.26).at(0, 0.36, 0.14), both(box(0.05, 0.4,
        0.06).at(0.47, 0, 0.24), axis="x")), part("key", "plastic:faf8f0", *(box(0.036, 0.03,
        0.16).at(-0.44 + 0.0383 * i, 0.42, 0.18) for i in range(24))), part("black", "plastic:17171a", *(box(0.022,
        0.03, 0.1).at(-0.42 + 0.0383 * i, 0.442, 0.15) for i in range(23) if i % 7 not in (2, 6))), part("stand",
        "wood:5a3a24", box(0.5, 0.16, 0.02).turn(-12, "x").at(0, 0.5, 0.08)), part("pedal", "brass", *(box(0.035, 0.02,
        0.12).at(x, 0.02, 0.08) for x in (-0.07, 0, 0.07))), also="upright piano, organ, harpsichord"),
    thing("grand piano", 2.2, part("case", _EBONY,
        plate("-.5,0 .5,0 .5,.24 .42,.5 .3,.66 .2,.95 .02,1.1 -.3,1.1 -.5,.95", 0.18, 0).turn(-90, "x").at(0, 0.52,
        0.5), *(cyl(0.035, 0.44, 0.045, 16).at(x, 0, z) for x, z in ((-0.42, 0.36), (0.42, 0.36), (-0.2, -0.46)))),
        part("lid", "wood:241a16", plate("-.5,0 .5,0 .5,.24 .42,.5 .3,.66 .2,.95 .02,1.1 -.3,1.1 -.5,.95", 0.02,
        0).turn(-90, "x").at(0.5, 0, 0).turn(34, "z").at(-0.5, 0.62, 0.46)), part("soundboard", "gold:c98f3a",
        plate("-.44,.2 .44,.2 .36,.48 .24,.64 .14,.9 0,1.02 -.26,1.02 -.44,.9", 0.02, 0).turn(-90, "x").at(0, 0.612,
        0.5)), part("key", "plastic:faf8f0", *(box(0.036, 0.03, 0.15).at(-0.42 + 0.0382 * i, 0.6, 0.5)
        for i in range(23))), part("black", "plastic:17171a", *(box(0.02, 0.03, 0.09).at(-0.4 + 0.0382 * i, 0.62, 0.47)
        for i in range(22) if i % 7 not in (2, 6))), part("stick", "brass", tube(".3,.6,-.1 .12,.98,-.1", 0.012, 1,
        6))),
    thing("drum", 0.4, part("shell", "plastic:c8202c", cyl(0.46, 0.5, segments=44).at(0, 0.04)), part("head",
        "leather:f3ead6", cyl(0.45, 0.05, segments=44).at(0, 0.52)), part("rim", "brass", hoop(0.465, 0.03, 44).at(0,
        0.55), hoop(0.465, 0.03, 44).at(0, 0.05)), part("rope", "fabric:f6f0e0",
        *(tube(f"0,.55,.48 {0.12 * (-1) ** i},.06,.48", 0.011, 1, 6).turn(30 * i) for i in range(12))), part("stick",
        "wood:c79a62", *(joined(tube(f"-.4,.62,{z} .36,.72,{z * 0.3}", 0.018, 1, 8), ball(0.035, segments=12).at(-0.4,
        0.62, z)) for z in (-0.16, 0.16))), also="snare drum, bongo, bongos, tambourine, djembe"),
    thing("drum set", 1.5, part("drum", "plastic:b8202c", cyl(0.32, 0.34, segments=40).turn(90, "x").at(0, 0.33, -0.1),
        cyl(0.17, 0.16).turn(18, "x").at(-0.18, 0.7, 0.0), cyl(0.17, 0.16).turn(18, "x").at(0.18, 0.7, 0.0), cyl(0.2,
        0.3).at(0.58, 0.2, -0.2), cyl(0.19, 0.14).at(-0.52, 0.42, -0.25)), part("head", "plastic:f8f6ee", cyl(0.29,
        0.02).turn(90, "x").at(0, 0.33, 0.235), cyl(0.16, 0.02).turn(18, "x").at(-0.18, 0.852, 0.05), cyl(0.16,
        0.02).turn(18, "x").at(0.18, 0.852, 0.05), cyl(0.19, 0.02).at(0.58, 0.495, -0.2), cyl(0.18, 0.02).at(-0.52,
        0.555, -0.25)), part("cymbal", "brass", *(lathe(".02,0 .24,-.03 .24,-.02 .05,.03 .02,.04", 0).turn(12,
        "x").at(x, 1.14, -0.05) for x in (-0.62, 0.62)), lathe(".02,0 .18,-.02 .18,-.01 .02,.03", 0).at(-0.78, 0.7,
        -0.15)), part("stand", "chrome", *(tube(f"{x},0,{z} {x},{y},{z}", 0.014, 1, 8) for x, y, z in ((-0.62, 1.12,
        -0.05), (0.62, 1.12, -0.05), (-0.78, 0.7, -0.15), (-0.52, 0.42, -0.25))),
        *(tube(f"{x},.3,{z} {x + 0.15 * sx},0,{z + 0.1}", 0.012, 1, 6) for x, z in ((-0.62, -0.05), (0.62, -0.05))
        for sx in (-1, 1)), *(tube(f"{0.58 + dx},.3,{-0.2 + dz} {0.58 + dx},0,{-0.2 + dz}", 0.012, 1, 6) for dx,
        dz in ((0.19, 0), (-0.15, 0.12), (-0.15, -0.12)))), also="drums, drumset, drum kit, drumkit"),
    thing("trumpet", 0.5, part("tube", "gold:e0b03a",
        tube(".4,.4,0 -.5,.4,0 -.62,.3,0 -.5,.2,0 .2,.2,0 .32,.3,0 .2,.4,0", 0.028),
        lathe(".03,0 .035,.3 .06,.46 .2,.58 .21,.59 .18,.57 .02,.4", 2).turn(-90, "z").at(0.36, 0.4)), part("valve",
        "silver", *(cyl(0.045, 0.34, segments=18).at(-0.24 + 0.11 * i, 0.14) for i in range(3))), part("button",
        "porcelain", *(joined(cyl(0.012, 0.1, segments=8).at(0, 0.48), cyl(0.04, 0.025, segments=14).at(0,
        0.56)).at(-0.24 + 0.11 * i) for i in range(3))), part("mouthpiece", "silver",
        lathe(".018,0 .02,.14 .05,.2 .02,.2", 0).turn(90, "z").at(-0.6, 0.4), tube("-.5,.4,0 -.66,.4,0", 0.024, 1, 8)),
        also="bugle, cornet, horn, trombone", long="x"),
    thing("saxophone", 0.7, part("tube", "gold:e0ac34",
        tube("-.32,1.16,0 -.2,1.26,0 -.04,1.2,0 0,1.0,0 .02,.5,0 .06,.2,0 .2,.06,0 .34,.16,0 .4,.4,0 .5,.66,0",
        ".022 .026 .034 .045 .065 .085 .1 .105 .12 .14", 6, 18), hoop(0.15, 0.025, 30).turn(-20, "z").at(0.51, 0.67)),
        part("key", "silver", *(cyl(0.04, 0.03, segments=16).turn(90, "x").at(0.02, 0.34 + 0.13 * i, 0.05)
        for i in range(6)), *(cyl(0.055, 0.03, segments=16).turn(90, "x").at(0.38, y, 0.1) for y in (0.24, 0.4))),
        part("rod", "brass", tube("-.05,.3,.07 -.05,1.0,.05", 0.01, 1, 6), tube(".0,.3,.09 .0,1.0,.06", 0.008, 1, 6)),
        part("mouthpiece", DARK, tube("-.3,1.15,0 -.42,1.02,0", ".03 .018", 1)), also="sax, tuba, french horn"),
    thing("flute", 0.67, part("tube", "silver", tube("-.6,.1,0 .6,.1,0", 0.035, 1, 20)), part("key", "gold:d9b24a",
        *(cyl(0.032, 0.03, segments=16).at(-0.1 + 0.075 * i, 0.125) for i in range(8))), part("lip", "silver:c8ccd2",
        ball(0.07, 0.02, 0.05, 16).at(-0.42, 0.135)), part("ring", "gold:d9b24b", *(hoop(0.037, 0.01, 22).turn(90,
        "z").at(x, 0.1) for x in (-0.6, -0.25, 0.44, 0.6))), also="recorder, piccolo, clarinet, oboe, whistle",
        long="x"),
    thing("harp", 1.7, part("frame", "gold:c9973a", tube("-.35,.06,0 -.3,.7,0 -.36,1.3,0", ".06 .045 .05", 4),
        tube("-.36,1.3,0 -.16,1.42,0 .08,1.24,0 .34,1.2,0 .42,1.06,0", ".05 .05 .045 .05 .06", 5),
        tube(".42,1.06,0 .1,.5,0 -.24,.06,0", ".06 .09 .12", 2), box(0.5, 0.08, 0.24).at(-0.24), ball(0.07,
        segments=14).at(-0.37, 1.36)), part("string", _STRING,
        *(tube(f"{-0.22 + 0.055 * i},{1.34 - 0.014 * i * (1 if i < 5 else 1.1)},0 "
            f"{-0.2 + 0.055 * i},{0.14 + 0.082 * i},0",
        0.005, 1, 5) for i in range(11))), also="lyre"),
    thing("xylophone", 0.5, *(part("bar", f"plastic:{c}", box(0.1, 0.035, 0.62 - 0.05 * i).at(-0.42 + 0.12 * i,
        0.12)) for i, c in enumerate(("d8302a", "f07a1c", "f4cf2a", "5fb53a", "2fa8a0", "2f6fd0", "5a3fb0",
        "c03f9a"))), part("frame", "wood:c79a62", tube("-.5,.08,.24 .5,.08,.1", 0.03, 1, 10),
        tube("-.5,.08,-.24 .5,.08,-.1", 0.03, 1, 10), box(0.05, 0.1, 0.56).at(-0.48), box(0.05, 0.1, 0.26).at(0.46)),
        part("mallet", "wood:8a4f2a", tube("-.3,.2,.4 .3,.22,.3", 0.014, 1, 6)), part("knob", "rubber:d8302b",
        ball(0.05, segments=16).at(0.32, 0.22, 0.3)), also="marimba, glockenspiel"),
    thing("accordion", 0.4, part("side", "plastic:b8202c", both(cushion(0.2, 0.7, 0.4, 8).at(0.4, 0.36), axis="x")),
        part("bellows", "leather:f3ead6", *(cushion(0.035, 0.66 - 0.05 * (i % 2), 0.38 - 0.04 * (i % 2),
        8).at(-0.27 + 0.045 * i, 0.36) for i in range(13))), part("key", "plastic:faf8f0", *(box(0.05, 0.04,
        0.12).at(0.47, 0.08 + 0.058 * i, 0.22) for i in range(10))), part("button", DARK, *(ball(0.022,
        segments=10).at(-0.46 + 0.05 * k, 0.14 + 0.075 * i, 0.21) for i in range(7) for k in range(3))), part("strap",
        "leather:2a1d18", both(tube(".44,.62,-.2 .48,.5,-.36 .44,.16,-.2", 0.025), axis="x")),
        also="concertina, bagpipes"),
    thing("bell", 0.25, part("bell", "gold:d9a83a", lathe(".02,.2 .34,.14 .5,.1 .5,.14 .38,.3 .32,.6 .22,.78 .03,.82",
        3)), part("clapper", "iron:4a4d52", ball(0.09, segments=16).at(0, 0.1), cyl(0.02, 0.3, segments=8).at(0, 0.1)),
        part("handle", "wood:6b4326", lathe(".05,.8 .06,.86 .05,1.1 .08,1.2 .02,1.24", 2)),
        also="hand bell, school bell, church bell, jingle bell, cowbell, gong"),
    thing("maracas", 0.25, part("head", "plastic:d8502a", ball(0.2, 0.25, 0.2).at(-0.28, 0.82), ball(0.2, 0.25,
        0.2).at(0.28, 0.82)), part("handle", "wood:c79a62", tube("-.1,0,.05 -.28,.64,0", 0.04, 1),
        tube(".1,0,-.05 .28,.64,0", 0.04, 1)), part("stripe", "plastic:f4cf3a", *(hoop(0.2, 0.022, 30).at(x, 0.82)
        for x in (-0.28, 0.28))), also="maraca, rattle, baby rattle", paired=True),
    thing("gramophone", 0.7, part("box", "wood:7a4526", box(0.6, 0.26, 0.6), box(0.66, 0.04, 0.66), box(0.64, 0.04,
        0.64).at(0, 0.24)), part("record", DARK, cyl(0.25, 0.03, segments=40).at(0, 0.29)), part("label",
        "paper:c8302a", cyl(0.08, 0.034, segments=24).at(0, 0.29)), part("horn", "brass",
        tube("-.22,.3,-.2 -.24,.5,-.24 -.16,.62,-.18 0,.72,0", ".035 .04 .055 .08"),
        lathe(".07,0 .12,.16 .26,.32 .4,.4 .38,.41 .2,.28 .02,.1", 3).turn(45, "x").turn(20).at(-0.02, 0.7, 0.0)),
        part("crank", "steel", tube(".3,.12,0 .42,.12,0 .42,.02,0 .5,.02,0", 0.016, 1, 8)),
        also="record player, phonograph, turntable"),
)
# fmt: on
