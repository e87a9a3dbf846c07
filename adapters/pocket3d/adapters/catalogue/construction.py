"""The arguments with which an adapter was constructed, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


def constructor_parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """The arguments that a class takes, without `self`: those that it states as its signature, or its constructor's."""
    stated = getattr(cls, "__signature__", None)
    if isinstance(stated, inspect.Signature):
        return stated.parameters
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # looked at, not called
    return dict(list(parameters.items())[1:])


def named_arguments(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a call of `cls` under the names that its constructor gives them; None where they do not fit it,
    or some have no name (`*args`).
    """
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]  # looked at, not called
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:
        # `__init__` is about to say what is wrong, better than we could (or it is `copy`, which does not call it).
        return None
    named: dict[str, Any] = {}
    for position, (name, value) in enumerate(bound.arguments.items()):
        kind = signature.parameters[name].kind
        if position == 0:
            continue
        if kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            return None
        else:
            named[name] = value
    return named
