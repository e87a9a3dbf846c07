"""Who asks, and what they may: bearer tokens, their tenants and rights. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from pocket3d.contracts.subjects import TENANT_PATTERN

#: Each right holds those before it.
RIGHTS = ("read", "submit", "admin")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class TokenError(ValueError):
    """A file of tokens does not say what it should; the message names the line."""


class Caller(NamedTuple):
    """Who a request is from."""

    tenant: str
    #: One of `RIGHTS`.
    right: str
    #: For limits and logs: begins a token's digest, or is an address.
    key: str

    def may(self, right: str) -> bool:
        """True if its right holds that one."""
        return RIGHTS.index(self.right) >= RIGHTS.index(right)

    def sees(self, tenant: str) -> bool:
        """True if a job of that tenant is visible to it."""
        return self.tenant == tenant or self.may("admin")


class Token(NamedTuple):
    """One line of a file of tokens."""

    #: SHA-256 of the token, hex.
    digest: str
    tenant: str
    right: str


class Tokens:
    """All that is known of tokens; empty where everybody may do everything."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def caller(self, token: str) -> Caller | None:
        """Whose token that is, or None. Takes equally long whichever of them it is, or none."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        found: Token | None = None
        for each in self._tokens:
            if hmac.compare_digest(each.digest, digest):
                found = each
        return None if found is None else Caller(found.tenant, found.right, found.digest[:12])


def read_tokens(text: str) -> Tokens:
    """The tokens of a file. A line has the SHA-256 of a token in hex, a tenant, and `read`, `submit` or `admin`; what
    follows a `#` is a comment.

    Raises:
        TokenError: a line says something else, or there is none.
    """
    tokens = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3:
            raise TokenError(f"line {number}: want SHA-256, tenant and right, e.g. `9f86d0... studio submit`")
        digest, tenant, right = words
        if not _DIGEST.fullmatch(digest):
            # Without the word itself: it may be a token that somebody forgot to hash.
            raise TokenError(f"line {number}: the first word is no SHA-256; `pocket3d gateway --new-token` writes one")
        if wrong := _wrong(tenant, right):
            raise TokenError(f"line {number}: {wrong}")
        tokens.append(Token(digest, tenant, right))
    if not tokens:
        raise TokenError("it has no token; `pocket3d gateway --new-token` writes one")
    return Tokens(tokens)


def _wrong(tenant: str, right: str) -> str | None:
    if not TENANT_PATTERN.fullmatch(tenant):
        return f"tenant {tenant[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _, . and -"
    return None if right in RIGHTS else f"right {right[:80]!r}: want read, submit or admin"


def token_line(token: str, tenant: str, right: str) -> str:
    """The line of a file of tokens for one.

    Raises:
        TokenError: no tenant, or no right.
    """
    if wrong := _wrong(tenant, right):
        raise TokenError(wrong)
    return f"{hashlib.sha256(token.encode()).hexdigest()} {tenant} {right}"


def bearer(authorization: str | None, query_token: str | None) -> str | None:
    """The token of a request: of `Authorization`, else of `?access_token=` (an EventSource sets no headers)."""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None
    return query_token or None
