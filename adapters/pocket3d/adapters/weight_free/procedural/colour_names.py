"""Names of colours that CSS has not, as sRGB codes: a selection of the xkcd colour survey (Munroe 2010,
https://xkcd.com/color/rgb.txt, CC0). Data only.

Most take the name of something that has the colour: what is asked for in "a lemon yellow chair" is no lemon.
"""

from __future__ import annotations

_SURVEY = """
acid green 8ffe09, algae green 21c36f, amber feb308, apple green 76cd26, apricot ffb16d, aqua blue 02d8e9,
aqua green 12e193, army green 4b5d16, aubergine 3d0734, auburn 9a3001, avocado green 87a922, baby blue a2cffe,
baby pink ffb7ce, banana yellow fafe4b, barbie pink fe46a5, battleship grey 6b7c85, blood orange fe4b03,
blood red 980002, blush pink fe828c, bottle green 044a05, brick orange c14a09, brick red 8f1402,
british racing green 05480d, bubblegum pink fe83cc, bubble gum pink ff69af, burgundy 610023, burnt orange c04e01,
butter yellow fffd74, camo green 526525, camouflage green 4b6113, canary yellow fffe40, candy pink ff63e9,
caramel brown af6f09, carnation pink ff7fa7, cerise de0c62, cerulean 0485d1, cerulean blue 056eee, charcoal 343837,
charcoal grey 3c4142, cherry red f7022a, chestnut brown 742802, chocolate brown 411900, clay brown b2713d,
cobalt blue 030aa7, coffee brown a6814c, coral pink ff6163, cream ffffc2, denim blue 3b5b92, duck egg blue c3fbf4,
eggplant purple 430541, eggshell blue c4fff7, electric blue 0652ff, electric green 21fc0d, electric pink ff0490,
electric purple aa23ff, emerald 01a049, emerald green 028f1e, fern green 548d44, fire engine red fe0002,
flamingo pink fc8eac, frog green 58bc08, golden brown b27a01, golden yellow fec615, grape purple 5d1451,
grass green 3f9b0b, hunter green 0b4008, ice blue d7fffe, jade green 2baf6a, jungle green 048243, kelly green 02ab2e,
kermit green 5cb200, kiwi green 8ee53f, lavender blue 8b88f8, lavender pink dd85d7, leaf green 5ca904,
lemon green adf802, lemon yellow fdff38, lilac cea2fd, lipstick red c0022f, mauve ae7181, midnight purple 280137,
military green 667c3e, mint green 8fff9f, moss green 658b38, mud brown 60460f, mustard ceb301, mustard brown ac7e04,
mustard green a8b504, mustard yellow d2bd0a, neon blue 04d9ff, neon green 0cff0c, neon pink fe019a,
neon purple bc13fe, neon red ff073a, neon yellow cfff04, night blue 040348, ocean blue 03719c, ocean green 3d9973,
ochre bf9005, off white ffffe4, old rose c87f89, olive brown 645403, olive green 677a04, pea green 8eab12,
peach ffb07c, peacock blue 016795, periwinkle 8e82fe, periwinkle blue 8f99fb, pig pink e78ea5, pine green 0a481e,
plum purple 4e0550, powder pink ffb2d0, prussian blue 004577, pumpkin orange fb7d07, racing green 014600,
robin egg blue 8af1fe, rose pink f7879a, rose red be013c, royal purple 4b006e, ruby ca0147, ruby red ca0147,
russet a13905, rust a83c09, rust brown 8b3103, rust orange c45508, rust red aa2704, rusty red af2f0d, sage 87ae73,
sage green 88b378, salmon pink fe7b7c, sand brown cba560, sand yellow fce166, sapphire 2138ab, sapphire blue 2138ab,
scarlet be0119, scarlet red be0119, seafoam green 7af9ab, shamrock green 02c14d, shocking pink fe02a2,
slime green 99cc04, steel grey 6f828a, strawberry red fb2943, sun yellow ffdf22, sunflower yellow ffda03,
sunshine yellow fffd37, taupe b9a281, tea green bdf8a3, teal blue 01889f, teal green 25a36f, tiffany blue 7bf2da,
tomato red ec2d01, toxic green 61de2a, turquoise blue 06b1c4, turquoise green 04f489, ultramarine 2000b1,
vermilion f4320c, water blue 0e87cc, wine red 7b0323, wintergreen 20f986
"""
#: Codes `rrggbb` by names without spaces, as CSS writes its own; those with grey also with gray.
SURVEYED: dict[str, str] = {}
for _entry in _SURVEY.replace("\n", " ").split(","):
    *_words, _code = _entry.split()
    SURVEYED["".join(_words)] = _code
    SURVEYED["".join(_words).replace("grey", "gray")] = _code

#: Black and white things of everyday speech, which the survey has not: they are black or white.
PLAIN = {
    "black": ("coal", "ebony", "ink", "jet", "midnight", "onyx", "pitch", "raven"),
    "white": ("bone", "chalk", "cloud", "cream", "egg", "ivory", "lily", "milk", "paper", "pearl", "snow"),
}
