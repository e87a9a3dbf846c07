"""Builds geometry from a sentence by a documented shape grammar: no weights, no guessing, nothing silently left out.

`grammar` reads the prompt, `vocabulary` and `nouns` list what it knows, `solids` makes closed surfaces, `furniture`,
`buildings`, `vehicles`, `nature`, `vessels` and `tools` build things from them, `assembly` paints and places them.
Importing this package loads nothing.
"""
