"""The description of all routes, OpenAPI 3.1, made from the routes themselves. Pure: values in, a document out.

Shapes are those of the wire's own types, as `contracts/schema` has them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

_KIND = re.compile(r"\{(\w+):\w+\}")
_REF = "#/components/schemas/{name}"


class RouteText(NamedTuple):
    """One route, as it is declared."""

    #: With the kinds of its parameters: `/v1/jobs/{job_id:str}`.
    path: str
    methods: Sequence[str]
    function: Callable[..., Any]
    status: int
    media_type: str
    #: Who may call it: `read`, `submit`, `admin`, `open`.
    right: str
    #: Of its JSON, where the function reads it from the request itself.
    body: Any
    tags: Sequence[str]


class ErrorBody(msgspec.Struct, kw_only=True):
    """What went wrong."""

    code: int
    message: str
    field: str | None = None


class ErrorAnswer(msgspec.Struct, kw_only=True):
    """Every answer that is an error."""

    error: ErrorBody


def document(routes: Iterable[RouteText], version: str) -> dict[str, Any]:
    """The whole description."""
    found = sorted(routes, key=lambda route: route.path)
    hints = [get_type_hints(route.function, include_extras=True) for route in found]
    kinds = [kind for route, names in zip(found, hints, strict=True) for kind in _types(route, names)]
    schemas, components = msgspec.json.schema_components([*kinds, ErrorAnswer], ref_template=_REF)
    known = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=False)}
    error = {"description": "what went wrong", "content": {"application/json": {"schema": schemas[-1]}}}
    paths: dict[str, dict[str, Any]] = {}
    for route, names in zip(found, hints, strict=True):
        path = _KIND.sub(r"{\1}", route.path)
        for method in sorted(route.methods):
            if method in ("HEAD", "OPTIONS"):
                continue
            told = _operation(route, names, known)
            told["operationId"] = f"{method.lower()}_{re.sub('[^a-z0-9]+', '_', path.lower()).strip('_')}"
            told["responses"]["default"] = error
            paths.setdefault(path, {})[method.lower()] = told
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Pocket3DStudio",
            "version": version,
            "description": "The wire's words over HTTP: jobs, files, events, the fleet.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: RouteText, names: Mapping[str, Any], known: Mapping[int, Any]) -> dict[str, Any]:
    text = inspect.getdoc(route.function) or ""
    operation: dict[str, Any] = {
        "summary": text.partition("\n")[0],
        "description": text,
        "tags": list(route.tags),
        "parameters": list(_parameters(route.function, names)),
        "x-right": route.right,
    }
    if route.right != "open":
        # Where no tokens are set none is asked for.
        operation["security"] = [{"token": []}, {}]
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": known[id(route.body)]}}}
    answer: dict[str, Any] = {"description": "done"}
    kind = names.get("return")
    if _is_shape(kind):
        answer["content"] = {"application/json": {"schema": known[id(kind)]}}
    elif kind is not type(None):
        answer["content"] = {route.media_type: {}}
    operation["responses"] = {str(route.status): answer}
    return operation


def _parameters(function: Callable[..., Any], names: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Those that are declared in the path or the query."""
    for name, parameter in inspect.signature(function).parameters.items():
        hint = names.get(name)
        if parameter.default is None and get_origin(hint) is Union:
            # Python 3.10 makes `Optional[...]` of whatever has the default None.
            hint = get_args(hint)[0]
        if get_origin(hint) is not Annotated:
            continue
        kind, *marks = get_args(hint)
        where = next((_WHERE[type(mark).__name__] for mark in marks if type(mark).__name__ in _WHERE), None)
        if where is not None:
            required = where == "path" or parameter.default is inspect.Parameter.empty
            yield {"name": name, "in": where, "required": required, "schema": msgspec.json.schema(kind)}


#: Marks of Litestar -> where such a parameter stands.
_WHERE = {"PathParameter": "path", "QueryParameter": "query"}


def _types(route: RouteText, names: Mapping[str, Any]) -> Iterable[Any]:
    if route.body is not None:
        yield route.body
    if _is_shape(names.get("return")):
        yield names["return"]


def _is_shape(kind: Any) -> bool:
    """True for what is answered as JSON of a known shape."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return True
    return get_origin(kind) in (dict, list)
