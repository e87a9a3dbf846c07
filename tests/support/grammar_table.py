"""Writes the table of nouns in `adapters/shape-grammar.md`: `python tests/support/grammar_table.py`."""

from __future__ import annotations

from pathlib import Path

from pocket3d.adapters.weight_free.procedural.nouns import NOUNS

PAGE = Path(__file__).parents[2] / "adapters" / "shape-grammar.md"
_HEAD = "| noun | also | size | parts |\n|---|---|---|---|\n"


def rows() -> list[str]:
    """One Markdown row per noun."""
    lines = []
    for noun in NOUNS.values():
        parts = []
        for rule in noun.parts:
            span = str(rule.least) if rule.least == rule.most else f"{rule.least}-{rule.most}"
            parts.append(f"{rule.name} {span} ({rule.default})")
        size = " x ".join(f"{side:.3g}" for side in noun.size)
        lines.append(f"| {noun.name} | {', '.join(noun.aliases)} | {size} | {', '.join(parts)} |")
    return lines


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text[: text.index(_HEAD)] + _HEAD + "\n".join(rows()) + "\n", encoding="utf-8")
