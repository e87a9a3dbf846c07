"""Python on the pages compiles, and what it imports from us is there."""

from __future__ import annotations

import ast
import importlib

import pytest

from support.pages import Block, blocks, pages

BLOCKS = [block for page in pages() for block in blocks(page) if block.info == "python"]


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_it_compiles(block: Block) -> None:
    # Short ones show an `async with` by itself, as a notebook takes it.
    compile(block.text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_what_it_imports_from_us_is_there(block: Block) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pocket3d"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block.place}: {node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("pocket3d"):
                    importlib.import_module(alias.name)
