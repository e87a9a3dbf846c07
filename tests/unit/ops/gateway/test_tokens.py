"""Files of tokens, and what a token allows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocket3d.ops.cli import cli
from pocket3d.ops.gateway.tokens import Caller, TokenError, bearer, read_tokens, token_line

ALICE = hashlib.sha256(b"alice").hexdigest()
BOB = hashlib.sha256(b"bob").hexdigest()


def test_a_token_stands_for_a_tenant_and_a_right() -> None:
    tokens = read_tokens(f"# ours\n{ALICE} studio submit # the page\n\n{BOB} lab read\n")
    assert tokens.caller("alice") == Caller("studio", "submit", ALICE[:12])
    assert tokens.caller("bob") == Caller("lab", "read", BOB[:12])
    assert tokens.caller("carol") is None
    assert tokens.caller(ALICE) is None, "the digest is no token"
    assert tokens.caller("\ud800") is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no token"),
        ("alice studio submit", "no SHA-256"),
        (f"{ALICE} studio", "want SHA-256, tenant and right"),
        (f"{ALICE} st*dio read", "tenant"),
        (f"{ALICE} studio write", "right"),
    ],
)
def test_a_wrong_line_is_named_without_its_token(line: str, why: str) -> None:
    with pytest.raises(TokenError, match=why) as told:
        read_tokens(line)
    assert "alice" not in str(told.value)


def test_a_wrong_line_is_named_by_its_number() -> None:
    with pytest.raises(TokenError, match=r"^line 3: right 'write'"):
        read_tokens(f"# ours\n{ALICE} studio submit\n{BOB} lab write\n")


@pytest.mark.parametrize(("tenant", "right"), [("st*dio", "read"), ("studio", "write"), ("a b", "read")])
def test_no_line_is_written_that_cannot_be_read(tenant: str, right: str) -> None:
    with pytest.raises(TokenError):
        token_line("secret", tenant, right)


def test_a_written_line_is_read_again() -> None:
    assert read_tokens(token_line("secret", "studio", "admin")).caller("secret") is not None


@pytest.mark.parametrize(
    ("pair", "why"),
    [("studio:write", "right 'write': want read"), ("studio", "right '': want read"), (":read", "tenant '': want 1")],
)
def test_a_token_to_make_is_named_as_it_was_typed(tmp_path: Path, pair: str, why: str) -> None:
    told = CliRunner().invoke(cli, ["gateway", "--tokens", str(tmp_path / "t.txt"), "--new-token", pair])
    assert told.exit_code == 2
    assert f"--new-token {pair}: {why}" in told.output
    assert list(tmp_path.iterdir()) == []


def test_rights_hold_those_before_them_and_tenants_see_their_own() -> None:
    reader, admin = Caller("studio", "read", "k"), Caller("ops", "admin", "k")
    assert [reader.may(right) for right in ("read", "submit", "admin")] == [True, False, False]
    assert [admin.may(right) for right in ("read", "submit", "admin")] == [True, True, True]
    assert (reader.sees("studio"), reader.sees("lab"), admin.sees("lab")) == (True, False, True)


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        ("Bearer abc", None, "abc"),
        ("bearer abc", "other", "abc"),
        ("Basic abc", "other", None),
        ("Bearer ", None, None),
        (None, "abc", "abc"),
        (None, None, None),
    ],
)
def test_where_a_token_comes_from(header: str | None, query: str | None, token: str | None) -> None:
    assert bearer(header, query) == token
