"""The table of nouns in `adapters/shape-grammar.md`, from the vocabulary. Run it to print the table."""

from __future__ import annotations

from pocket3d.adapters.weight_free.procedural.nouns import NOUNS


def rows() -> list[str]:
    """One Markdown row per noun."""
    lines = []
    for noun in NOUNS.values():
        parts = []
        for rule in noun.parts:
            span = str(rule.least) if rule.least == rule.most else f"{rule.least}-{rule.most}"
            parts.append(f"{rule.name} {span} ({rule.default})")
        size = " x ".join(f"{side:g}" for side in noun.size)
        lines.append(f"| {noun.name} | {', '.join(noun.aliases)} | {size} | {', '.join(parts)} |")
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))
