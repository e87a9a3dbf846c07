"""YAML read with the line of every value, refusing keys that stand twice, and written. The one module here that needs
pyyaml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

Place = tuple["str | int", ...]
#: Values of a file, those that an alias repeats counted each time: 350 bytes of aliases can stand for millions.
_MAX_VALUES = 50_000
#: What the constructors of pyyaml raise on a scalar that is not of its type (`2026-02-30`, `!!bool x`).
_NO_SUCH_VALUE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)
#: No program takes these in an argument, a variable or a name of a file.
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


class ModelsFileError(ValueError):
    """`models.yaml` is wrong; the message has the file, the line, the key's path and what to write."""


class _Loader(yaml.SafeLoader):
    """The safe one, whose errors all have a place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except _NO_SUCH_VALUE as error:
            kind = node.tag.rpartition(":")[2]
            problem = f"{str(node.value)[:80]!r} is no {kind}; put it in quotes for a text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


class PlacedYaml:
    """A parsed file.

    `file` is where the text was read, for messages.

    Raises:
        ModelsFileError: not YAML, a key stands twice, a text that nothing could take, or aliases that unfold to more
            values than any configuration has.
    """

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._lines: dict[Place, int] = {}
        self._values = 0
        try:
            # Nodes first, for their lines.
            loader = _Loader(text)
            node = loader.get_single_node()
            if node is not None:
                self._walk(node, ())
            self.data: Any = None if node is None else loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark is not None else ""
            raise ModelsFileError(f"{file}{line}: not YAML: {error.problem or error.context}") from error
        except yaml.YAMLError as error:
            raise ModelsFileError(f"{file}: not YAML: {error}") from error
        except RecursionError as error:
            raise ModelsFileError(f"{file}: nested too deeply") from error

    def error(self, place: Place, message: str) -> ModelsFileError:
        """An error that names the file, the line and the key's path."""
        known = place
        while known and known not in self._lines:
            known = known[:-1]
        line = f":{self._lines[known]}" if known in self._lines else ""
        where = path_text(place)
        return ModelsFileError(f"{self._file}{line}: {where + ': ' if where else ''}{message}")

    def _walk(self, node: yaml.Node, place: Place) -> None:
        line = node.start_mark.line + 1
        self._lines.setdefault(place, line)
        self._values += 1
        if self._values > _MAX_VALUES:
            raise ModelsFileError(f"{self._file}: more than {_MAX_VALUES:,} values, those of its aliases counted")
        if isinstance(node, yaml.ScalarNode) and _UNUSABLE.search(node.value):
            where = path_text(place)
            raise ModelsFileError(
                f"{self._file}:{line}: {where}: {node.value[:80]!r} holds a null byte or half of a surrogate pair, "
                "which no program takes"
            )
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._walk(key, place)
                name = str(getattr(key, "value", key))
                inner = (*place, name)
                if inner in self._lines:
                    line = key.start_mark.line + 1
                    raise ModelsFileError(f"{self._file}:{line}: {path_text(inner)}: the key stands twice")
                self._lines[inner] = key.start_mark.line + 1
                self._walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*place, index))


def to_text(data: Any) -> str:
    """Write plain values as YAML, keys in their order."""
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def path_text(place: Place) -> str:
    """`adapters.echo.path[0]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text
