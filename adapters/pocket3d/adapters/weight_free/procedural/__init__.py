"""Builds geometry from a sentence by a documented shape grammar: no weights, no guessing, nothing silently left out.

`grammar` reads the prompt with the help of `styles`, `phrases` and `names`; `kinds` knows from a table of WordNet what
a noun is a kind of. `nouns` lists what can be built. Most of it are recipes (`recipe`, `bodies`, `figures`, `things`:
values of the standard library) that `forming` builds of `solids`; the rest are functions of `furniture`, `buildings`,
`vehicles`, `nature`, `vessels` and `tools`. `assembly` paints and places them, `restyling` makes facets and cubes.
Importing this package loads nothing.
"""
