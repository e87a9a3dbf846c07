"""Keeps secrets out of logs. Pure: values in, values out.

Judged by key (`password`, `nkey_seed`, ...) and by form (nkey seeds, JWTs, passwords in URLs), because secrets also
arrive inside the texts of other people's exceptions. An attempt's `token` and an input's `seed` are no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "[hidden]"
_MAX_DEPTH = 8

_KEYS = re.compile(
    r"(pass(word|wd|phrase)|secret|credential|authorization|api_?key|access_?token|auth_?token|nats_token|hf_token"
    r"|nkey(s)?_seed|private_?key)",
    re.IGNORECASE,
)
#: A form, what takes its place, and a text without which it cannot occur: a service writes thousands of lines a second.
_FORMS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    # nats://user:password@host and any other URL with a user part
    (re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@\"']+@"), r"\g<scheme>" + HIDDEN + "@", "://"),
    # JSON web tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?"), HIDDEN, "eyJ"),
    # access tokens of the hub that most weights come from
    (re.compile(r"\bhf_[A-Za-z0-9]{20,}\b"), HIDDEN, "hf_"),
)
#: nkey seeds: user, account, operator, server, cluster, curve.
_SEED = re.compile(r"\bS[UAONCX][A-Z2-7]{56}\b")
_SEED_CHARS = 58
#: The same wherever it begins, which is found sooner.
_SEED_LIKE = re.compile(r"S[UAONCX][A-Z2-7]{56}")
_BEARER = re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*")
_BEARER_CHARS = 15
_SIGNS = tuple(part for _, _, part in _FORMS)


def clean_text(text: str) -> str:
    """The text without what has the form of a secret."""
    for form, instead, part in _FORMS:
        if part in text:
            text = form.sub(instead, text)
    if len(text) >= _SEED_CHARS:
        text = _SEED.sub(HIDDEN, text)
    return _BEARER.sub(f"Bearer {HIDDEN}", text) if len(text) >= _BEARER_CHARS else text


@lru_cache(maxsize=1024)
def _hides(*keys: str) -> bool:
    return any(map(_KEYS.search, keys))


def may_hide(text: str, keys: Iterable[str]) -> bool:
    """True if a line of the log, as a JSON object with these keys, may hold what `clean` hides. Nearly none does, and a
    job writes ten of them: one look at the whole text spares one at each value.
    """
    for part in _SIGNS:
        if part in text:
            return True
    # With an object inside, there are further keys.
    return _hides(*keys) or text.find("{", 1) > 0 or "bearer" in text.lower() or _SEED_LIKE.search(text) is not None


def clean(value: Any, depth: int = 0) -> Any:
    """The value, with secrets hidden in whatever it contains; what lies deeper than eight levels is hidden whole."""
    if isinstance(value, str):
        return clean_text(value)
    if depth >= _MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if isinstance(key, str) and _hides(key) and inner else clean(inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [clean(inner, depth + 1) for inner in value]
    return value
