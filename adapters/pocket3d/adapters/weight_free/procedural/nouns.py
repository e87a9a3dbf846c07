"""All nouns that can be built. The shape of those in this table is a function of the same name in one of the shape
modules; those of `things` are recipes. Sizes are metres of the real thing.
"""

from __future__ import annotations

from .noun import Noun, read_nouns
from .things import THINGS

_TABLE = """
# furniture
chair 0.46 x 0.92 x 0.5
  parts leg 4 1-12 foot, back 1 0-1 backrest, seat 1 1-1 cushion, arm 0 0-2 armrest
  paint leg:wood back:wood seat:wood arm:wood
  tinted leg back seat arm
  accent seat
armchair 0.9 x 0.9 x 0.85: easy chair
  parts leg 4 2-8 foot, back 1 0-1 backrest, seat 1 1-1 cushion, arm 2 0-2 armrest, pillow 0 0-2
  paint leg:wood:4a3525 back:fabric:7d8ca3 seat:fabric:8f9db3 arm:fabric:7d8ca3 pillow:fabric:e8e2d5
  tinted back seat arm
  accent pillow
table 1.4 x 0.75 x 0.8: dining table, coffee table, picnic table
  forms round square
  parts leg 4 1-16 foot, top 1 1-1 tabletop surface, drawer 0 0-4
  paint leg:wood top:wood drawer:walnut knob:brass
  tinted leg top
  accent top
stool 0.38 x 0.6 x 0.38: bar stool
  forms round square
  parts leg 4 1-10 foot, seat 1 1-1 top cushion
  paint leg:wood seat:wood
  tinted leg seat
  accent seat
bench 1.5 x 0.82 x 0.5: park bench
  parts leg 4 2-16 foot, back 1 0-1 backrest, seat 1 1-1
  paint leg:iron:3a3d40 back:wood seat:wood
  tinted back seat
  accent leg
bed 1.6 x 1.0 x 2.1
  lengthwise z
  parts leg 4 2-8 foot, pillow 2 0-4, headboard 1 0-1 back, mattress 1 1-1, blanket 1 0-1 cover duvet
  paint leg:wood frame:wood headboard:wood mattress:fabric:f4f1ea pillow:fabric:ffffff blanket:fabric:5f7fae
  tinted leg frame headboard
  accent blanket
shelf 0.9 x 1.8 x 0.32: bookcase, bookshelf, rack
  parts board 5 2-12 shelf level, book 18 0-60, side 2 2-2, back 1 0-1
  paint board:wood side:wood back:wood:8c6236 book:paper
  tinted board side back
  accent back
sofa 2.0 x 0.82 x 0.9: couch, settee
  parts leg 4 2-10 foot, seat 3 1-6 cushion, back 1 0-1 backrest, arm 2 0-2 armrest, pillow 0 0-6
  paint leg:wood:4a3525 seat:fabric:8f9db3 back:fabric:7d8ca3 arm:fabric:7d8ca3 pillow:fabric:e8e2d5
  tinted seat back arm
  accent pillow
wardrobe 1.1 x 1.9 x 0.58: cabinet, cupboard, closet, dresser
  parts door 2 1-4, leg 4 2-8 foot, knob 2 0-8 handle
  paint body:wood door:wood:b5824c leg:wood:6b4a2e knob:brass
  tinted body door
  accent door
lamp 0.36 x 0.6 x 0.36: floor lamp, table lamp, desk lamp, lantern
  parts shade 1 1-1 lampshade, base 1 1-1 foot, pole 1 1-1 stem stand, bulb 1 0-1
  paint shade:fabric:f3e3bd base:brass pole:brass bulb:pane:fff6c8
  tinted shade
  accent base pole
# buildings
house 8.0 x 7.0 x 7.0: home, cottage, hut, cabin
  parts roof 1 1-1, door 1 0-2, window 4 0-12, chimney 1 0-3, wall 1 1-1
  paint wall:concrete:efe6d2 roof:clay:a8442f door:wood:5b3a22 window:pane:9cc7e0 frame:plastic:ffffff chimney:brick
  tinted wall
  accent roof
tower 5.0 x 16.0 x 5.0: turret, clock tower, big ben
  parts roof 1 0-1, window 6 0-24, door 1 0-1, merlon 10 0-32 battlement, wall 1 1-1
  paint wall:stone roof:clay:7c3b2e window:pane:2e3b4a door:wood:5b3a22 merlon:stone
  tinted wall merlon
  accent roof
castle 26.0 x 18.0 x 26.0: fortress, fort, palace
  parts tower 4 2-12 turret, wall 1 1-1, gate 1 0-1 door, roof 1 0-1, merlon 10 0-16 battlement, flag 0 0-12,
  parts keep 1 0-1
  paint tower:stone wall:stone:9a968c merlon:stone roof:clay:5a6fa8 gate:wood:5b3a22 flag:fabric:c8102e pole:iron
  paint keep:stone:a39f95
  tinted tower wall merlon keep
  accent roof
pyramid 20.0 x 13.0 x 20.0
  parts step 0 0-20 tier layer
  paint body:sand
  tinted body
bridge 24.0 x 6.0 x 5.0
  lengthwise x
  parts arch 3 1-9, rail 2 0-2 railing parapet
  paint body:stone rail:stone:a09d95 deck:concrete:77756f
  tinted body rail
  accent rail
# vehicles
car 4.2 x 1.45 x 1.75: automobile, taxi
  lengthwise x
  parts wheel 4 3-8 tyre tire, window 1 0-1 windscreen, light 4 0-4 headlight lamp, body 1 1-1
  paint body:plastic:c0262d wheel:rubber hub:aluminium window:pane:31414f light:pane:fff3c4 bumper:plastic:2b2d30
  tinted body
  accent hub
truck 6.5 x 2.8 x 2.2: lorry
  lengthwise x
  parts wheel 6 4-12 tyre tire, window 1 0-1 windscreen, light 2 0-2 headlight, cab 1 1-1,
  parts cargo 1 0-1 box bed container
  paint cab:plastic:2f6fb5 cargo:plastic:e6e6e2 wheel:rubber hub:aluminium window:pane:31414f light:pane:fff3c4
  paint frame:iron
  tinted cab
  accent cargo
rocket 3.0 x 12.0 x 3.0: spaceship, space ship, spacecraft, missile
  parts fin 4 2-12 wing, window 1 0-5 porthole, nose 1 1-1 tip nosecone, body 1 1-1 hull,
  parts engine 1 1-7 nozzle thruster
  paint body:plastic:f2f2f0 nose:plastic:d43a2f fin:plastic:d43a2f window:pane:5fa8d8 frame:steel engine:iron
  tinted body
  accent nose fin
boat 5.0 x 5.6 x 1.9: ship, sailboat, sailing boat
  lengthwise x
  parts sail 2 0-3, mast 1 0-3, hull 1 1-1 body, cabin 0 0-1
  paint hull:wood:8b4f2b deck:wood:d9b27c mast:wood:c79a62 sail:fabric:faf6ea cabin:plastic:f4f4f4
  tinted hull
  accent sail
airplane 9.0 x 2.9 x 9.5: plane, aeroplane, aircraft, jet, airliner
  lengthwise x
  parts wing 2 2-4, engine 2 0-6 jet turbine, window 14 0-40, tail 1 1-1 fin, body 1 1-1 fuselage hull
  paint body:plastic:f4f5f7 wing:aluminium:d4d8dd tail:plastic:2f6fb5 engine:steel:8d949c window:pane:25313d
  tinted body
  accent tail wing
# nature
tree 4.0 x 5.5 x 4.0: oak tree, apple tree, orange tree, cherry tree, lemon tree, plum tree, olive tree, fruit tree
  parts branch 5 0-12, crown 1 0-1 leaf foliage, trunk 1 1-1 stem, apple 0 0-40 fruit
  paint crown:leaf trunk:wood:6e4a2c branch:wood:6e4a2c apple:plastic:d7262b
  tinted crown
  accent apple
pine 3.2 x 6.5 x 3.2: pine tree, fir, fir tree, christmas tree, spruce, conifer
  parts tier 4 1-10 layer branch, trunk 1 1-1, star 0 0-1, ball 0 0-40 bauble ornament
  paint tier:leaf:23623a trunk:wood:6e4a2c star:gold ball:metal:d7262b
  tinted tier
  accent ball
cactus 0.9 x 1.8 x 0.45: cacti, saguaro
  parts arm 2 0-6 branch, flower 0 0-6 blossom, pot 0 0-1
  paint body:leaf:3f8a4e arm:leaf:3f8a4e flower:leaf:e65a9c pot:clay
  tinted body arm
  accent flower
flower 0.28 x 0.6 x 0.18: blossom
  parts petal 8 3-24, leaf 2 0-8, stem 1 1-1 stalk, center 1 1-1 centre middle, pot 0 0-1
  paint petal:leaf:e84a7f center:leaf:f6c534 stem:leaf leaf:leaf pot:clay
  tinted petal
  accent center
mushroom 0.24 x 0.26 x 0.24: toadstool
  parts cap 1 1-1 hat, stem 1 1-1 stalk, spot 9 0-30 dot
  paint cap:leaf:c8281e stem:leaf:f3ead6 spot:leaf:fffaf0 gill:leaf:e9d9b8
  tinted cap
  accent spot
snowman 1.0 x 1.9 x 1.0: snow man
  parts ball 3 2-5 body, button 3 0-8, hat 1 0-1, arm 2 0-2, nose 1 0-1 carrot, eye 2 0-2, scarf 0 0-1
  paint ball:snow button:stone:1d1d20 hat:fabric:1d1d20 arm:wood:5a3d26 nose:plastic:f0801f eye:stone:1d1d20
  paint scarf:fabric:c8202e
  tinted ball
  accent hat scarf
fish 0.5 x 0.28 x 0.14: goldfish
  lengthwise x
  parts fin 3 0-5, tail 1 1-1, eye 2 0-2, body 1 1-1
  paint body:plastic:f28a1c fin:plastic:e4641a tail:plastic:e4641a eye:pane:15181c
  tinted body
  accent fin tail
# vessels
cup 0.115 x 0.095 x 0.085: mug, teacup, coffee cup
  parts handle 1 0-2, saucer 0 0-1 plate
  paint body:ceramic handle:ceramic saucer:ceramic
  tinted body handle saucer
  accent handle
vase 0.2 x 0.38 x 0.2
  parts handle 0 0-2
  paint body:ceramic:3d6f8e handle:ceramic:3d6f8e
  tinted body handle
  accent handle
bowl 0.26 x 0.11 x 0.26
  parts foot 1 0-1 base
  paint body:ceramic:e7e0d0 foot:ceramic:e7e0d0
  tinted body foot
  accent foot
bottle 0.08 x 0.3 x 0.08: flask
  parts cap 1 0-1 cork lid, label 1 0-1
  paint body:glass:3f7a4a cap:wood:c9a06a label:paper
  tinted body
  accent label
goblet 0.09 x 0.2 x 0.09: chalice, wineglass, wine glass, trophy
  parts handle 0 0-2
  paint body:gold handle:gold
  tinted body handle
# tools and things
ladder 0.5 x 2.6 x 0.07
  parts rung 8 2-40 step, rail 2 2-2 side
  paint rung:wood rail:wood
  tinted rung rail
  accent rung
sword 0.24 x 1.05 x 0.05: blade
  parts blade 1 1-1, guard 1 1-1 crossguard, grip 1 1-1 handle hilt, pommel 1 0-1
  paint blade:steel guard:brass grip:leather pommel:brass
  tinted blade
  accent guard pommel
hammer 0.15 x 0.34 x 0.045: mallet
  parts head 1 1-1, handle 1 1-1 grip shaft
  paint head:steel handle:wood
  tinted head
  accent handle
gear 0.2 x 0.2 x 0.04: cog, cogwheel, sprocket
  parts tooth 12 6-60 teeth, hole 1 0-1 bore
  paint body:steel
  tinted body
wheel 0.6 x 0.6 x 0.14
  parts spoke 8 3-32, tyre 1 0-1 tire, hub 1 1-1, rim 1 1-1
  paint tyre:rubber rim:aluminium spoke:aluminium hub:steel
  tinted rim spoke hub
  accent tyre
candle 0.07 x 0.2 x 0.07
  parts flame 1 0-1 fire, wick 1 1-1, holder 0 0-1 plate
  paint body:wax flame:pane:ffb32e wick:fabric:2a2420 holder:brass
  tinted body
  accent flame
barrel 0.6 x 0.85 x 0.6: keg, cask
  parts hoop 4 0-8 band ring
  paint body:wood hoop:iron
  tinted body
  accent hoop
# primitives
cube 1.0 x 1.0 x 1.0: box, block, crate, brick block
  paint body:plastic:b9bec6
  tinted body
sphere 1.0 x 1.0 x 1.0: ball, orb
  paint body:plastic:b9bec6
  tinted body
cylinder 0.8 x 1.0 x 0.8: tube, disc, disk
  paint body:plastic:b9bec6
  tinted body
cone 0.9 x 1.0 x 0.9: traffic cone
  parts stripe 0 0-4 band ring
  paint body:plastic:b9bec6 stripe:plastic:ffffff
  tinted body
  accent stripe
torus 1.0 x 0.3 x 1.0: doughnut shape
  paint body:plastic:b9bec6
  tinted body
star 1.0 x 1.0 x 0.25
  parts point 5 3-16 tip ray
  paint body:plastic:f4c430
  tinted body
heart 1.0 x 0.95 x 0.35
  paint body:plastic:d3202f
  tinted body
"""

NOUNS: dict[str, Noun] = {**read_nouns(_TABLE), **THINGS}
#: Words of a name -> noun; longer ones are tried first. Prompts are read without hyphens.
NAMES: dict[tuple[str, ...], str] = {
    tuple(alias.replace("-", " ").split()): entry.name
    for entry in NOUNS.values()
    for alias in (entry.name, *entry.aliases)
}
#: Every word that is a part of something.
PART_WORDS: frozenset[str] = frozenset(
    word for entry in NOUNS.values() for rule in entry.parts for word in (rule.name, *rule.aliases)
)
