"""PartField (Liu et al., ICCV 2025): part features of a mesh, and the parts that clustering makes of them."""
