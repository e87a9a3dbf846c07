"""A program's interface as `models.yaml` states it: its options, its request, where its answer has the file. Pure, but
for the file that an answer in JSON holds.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ...authoring.options import ImageFile, ImageFiles, Options
from .errors import BadAnswer
from .model import ServerConfig, Step
from .requests import Request, document, form

_TYPES: dict[str, type] = {"integer": int, "number": float, "string": str, "boolean": bool}
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: What each feature's request has of itself, beside `output_format`: the inputs, and their name in a request.
FEATURE_FIELDS: dict[str, list[tuple[str, Any, Any]]] = {
    "image": [("image_path", ImageFile, None), ("image_paths", ImageFiles, None)],
    "text_prompt": [("text_prompt", Annotated[str, Meta(min_length=1, description="what to make")], msgspec.NODEFAULT)],
}


class Option(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One option of a job, in the words of JSON Schema. Without a default it may be absent, and is then left out."""

    type: Literal["integer", "number", "string", "boolean"]
    description: str | None = None
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    enum: list[Any] | None = None

    def annotation(self) -> Any:
        """The type of a field of `Options`."""
        if self.enum:
            return Annotated[Literal[tuple(self.enum)], Meta(description=self.description)]
        kind = _TYPES[self.type]
        if kind is int:
            low, high = (None if each is None else int(each) for each in (self.minimum, self.maximum))
            return Annotated[int, Meta(ge=low, le=high, description=self.description)]
        if kind is float:
            return Annotated[float, Meta(ge=self.minimum, le=self.maximum, description=self.description)]
        return Annotated[kind, Meta(description=self.description)]


class RequestTemplate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A POST. A text that is `{name}` and nothing else stands for a value of the job, a file among them."""

    path: str
    #: A form (multipart/form-data): files as files, all else as texts.
    form: dict[str, Any] | None = None
    #: A JSON document: files as texts in base64.
    json: dict[str, Any] | None = None


class AnswerPlace(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an answer in JSON has the file, in base64: keys with dots between them."""

    json: str


class DeclaredConfig(ServerConfig):
    """The arguments of an adapter that is declared in `models.yaml`, beside those of `ServerConfig`."""

    #: See `RequestTemplate`.
    request: Mapping[str, Any] = {}
    #: `body`, or see `AnswerPlace`.
    answer: str | Mapping[str, Any] = "body"
    #: Name -> see `Option`.
    options: Mapping[str, Mapping[str, Any]] = {}
    #: A pattern with the groups `done` and `total` for lines that tell of progress.
    progress: str | None = None
    #: True for a program that stops computing when the connection is closed.
    stops_when_closed: bool = False
    supported_output_formats: tuple[str, ...] | list[str] = ("glb",)


class Interface:
    """What a configuration declares, checked.

    Args:
        config: as `models.yaml` has it.
        given: what the feature gives beside the options: `image` or `text_prompt`.

    Raises:
        ValueError: a mistake, with its place.
    """

    def __init__(self, config: DeclaredConfig, given: str) -> None:
        self.template = _converted(config.request, RequestTemplate, "request")
        if (self.template.form is None) == (self.template.json is None):
            raise ValueError("request: want either form or json")
        self.answer = None if config.answer == "body" else _converted(config.answer, AnswerPlace, "answer")
        options = {name: _converted(each, Option, f"options.{name}") for name, each in dict(config.options).items()}
        self.options_type = _options_type(options, given)
        known = {given, "output_format", *options}
        for name in sorted(_places(self.template.form or self.template.json)):
            if name not in known:
                raise ValueError(f"request: {{{name}}} is none of {', '.join(sorted(known))}")
        self._progress = None if config.progress is None else _pattern(config.progress)

    def request(self, values: Mapping[str, Any]) -> Request:
        """The request of one job. Values of None are left out."""
        if self.template.form is not None:
            filled = _filled(self.template.form, values, as_text=False)
            return form(self.template.path, {name: _text(each) for name, each in filled.items()})
        return document(self.template.path, _filled(self.template.json, values, as_text=True))

    def unwrap(self, answer: Path, target: Path) -> None:
        """Write the file that an answer in JSON holds.

        Raises:
            BadAnswer: it holds none.
        """
        assert self.answer is not None
        try:
            value: Any = msgspec.json.decode(answer.read_bytes())
            for key in self.answer.json.split("."):
                value = value[key]
            target.write_bytes(base64.b64decode(value, validate=True))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadAnswer(f"the answer is no JSON: {error}") from error
        except (KeyError, TypeError, IndexError, binascii.Error, ValueError) as error:
            raise BadAnswer(f"the answer has no file in base64 under {self.answer.json}: {error!r}"[:300]) from error

    def step(self, line: str) -> Step | None:
        """The progress that a line tells of."""
        found = None if self._progress is None else self._progress.search(line)
        if found is None:
            return None
        try:
            done, total = float(found["done"]), float(found["total"])
        except (TypeError, ValueError):
            return None
        return Step(done / total if total > 0 else None, "computing", f"{found['done']} of {found['total']}")


def _options_type(options: Mapping[str, Option], given: str) -> type[Options]:
    fields: list[Any] = [*FEATURE_FIELDS[given], ("output_format", str, "glb")]
    taken = {name for name, *_ in fields}
    for name, option in options.items():
        if name in taken or not name.isidentifier():
            raise ValueError(f"options.{name}: want a name of letters, digits and _, other than {', '.join(taken)}")
        kind = option.annotation()
        fields.append((name, kind, option.default) if option.default is not None else (name, kind | None, None))
    made: Any = msgspec.defstruct("DeclaredOptions", fields, bases=(Options,), kw_only=True, forbid_unknown_fields=True)
    for name, option in options.items():
        if option.default is not None:
            _converted(option.default, made.__annotations__[name], f"options.{name}.default")
    declared: type[Options] = made
    return declared


def _converted(value: Any, wanted: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise ValueError(f"{place}: {error}") from error


def _pattern(text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text)
    except re.error as error:
        raise ValueError(f"progress: {error}") from error
    if not {"done", "total"} <= set(found.groupindex):
        raise ValueError("progress: want the groups (?P<done>...) and (?P<total>...)")
    return found


def _places(value: Any) -> set[str]:
    if isinstance(value, str):
        found = _PLACE.fullmatch(value)
        return set() if found is None else {found[1]}
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {name for each in inner for name in _places(each)}


def _filled(value: Any, values: Mapping[str, Any], *, as_text: bool) -> Any:
    if isinstance(value, str):
        found = _PLACE.fullmatch(value)
        if found is None:
            return value
        given = values.get(found[1])
        return base64.b64encode(given.read_bytes()).decode() if as_text and isinstance(given, Path) else given
    if isinstance(value, Mapping):
        filled = {name: _filled(each, values, as_text=as_text) for name, each in value.items()}
        return {name: each for name, each in filled.items() if each is not None}
    if isinstance(value, list):
        return [_filled(each, values, as_text=as_text) for each in value]
    return value


def _text(value: Any) -> str | Path:
    """A value in a form."""
    if isinstance(value, (str, Path)):
        return value
    return msgspec.json.encode(value).decode()
