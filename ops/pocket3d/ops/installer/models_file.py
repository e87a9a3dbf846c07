"""Adds an adapter's entry to a `models.yaml` that a person wrote: its text stays as it is, comments and all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def entry_text(adapter_id: str, entry: Mapping[str, Any], indent: str = "  ") -> str:
    """The entry as it stands under `adapters:`."""
    text = yaml.safe_dump({adapter_id: dict(entry)}, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"{indent}{line}\n" for line in text.splitlines())


def with_entry(text: str, adapter_id: str, entry: Mapping[str, Any]) -> str | None:
    """The file with the entry; None where it cannot be put in by adding lines alone: it is there already, the file is
    no YAML, or `adapters` is written in braces.
    """
    try:
        before = yaml.safe_load(text)
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    if before is None:
        before = {}
    adapters = before.get("adapters") if isinstance(before, dict) else None
    if not isinstance(before, dict) or (adapters is not None and not isinstance(adapters, dict)):
        return None
    if adapters and adapter_id in adapters:
        return None
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if "adapters" not in before:
        lines += ["adapters:\n", entry_text(adapter_id, entry)]
    else:
        place = _end_of_adapters(node)
        if place is None:
            return None
        line, indent = place
        lines.insert(line, entry_text(adapter_id, entry, indent))
    after = "".join(lines)
    wanted = {**before, "adapters": {**(adapters or {}), adapter_id: dict(entry)}}
    try:
        return after if yaml.safe_load(after) == wanted else None
    except yaml.YAMLError:
        return None


def _end_of_adapters(root: yaml.Node | None) -> tuple[int, str] | None:
    """The line behind the last entry, and how far entries are indented."""
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    for key, value in root.value:
        if key.value != "adapters":
            continue
        if not isinstance(value, yaml.MappingNode):
            # `adapters:` with nothing behind it.
            return key.end_mark.line + 1, "  "
        if value.flow_style or not value.value:
            return None
        return _last_line(value) + 1, " " * value.value[0][0].start_mark.column
    return None


def _last_line(node: yaml.Node) -> int:
    """Of what it says; a block's own end mark lies behind the comments that follow it."""
    if isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.line
    # A text in several lines ends at the beginning of the next one.
    behind = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") and node.end_mark.column == 0
    return end - 1 if behind and end > node.start_mark.line else end
