"""Subjects and filters: which messages a wildcard means. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def is_literal(subject: str) -> bool:
    """True if it has no wildcard."""
    return "*" not in subject and ">" not in subject


def matches(pattern: str, subject: str) -> bool:
    """True if `pattern` (`*` one token, `>` one or more at the end) takes `subject`."""
    if is_literal(pattern):
        return pattern == subject
    wanted, tokens = pattern.split("."), subject.split(".")
    for i, want in enumerate(wanted):
        if want == ">":
            return len(tokens) > i
        if i >= len(tokens) or want not in ("*", tokens[i]):
            return False
    return len(wanted) == len(tokens)


def transform(source: str, destination: str, subject: str) -> str | None:
    """`subject` rewritten as a server's subject transform does, or None if `source` does not take it.

    Only `{{wildcard(n)}}` is known, n counting the `*` of `source` from 1.
    """
    if not matches(source, subject):
        return None
    tokens = subject.split(".")
    stars = [tokens[i] for i, want in enumerate(source.split(".")) if want == "*"]
    for number, token in enumerate(stars, 1):
        destination = destination.replace(f"{{{{wildcard({number})}}}}", token)
    return destination


class SubjectIndex:
    """A set of subjects that answers wildcard filters without looking at every subject."""

    def __init__(self, subjects: Iterable[str] = ()) -> None:
        self._subjects: set[str] = set()
        self._by_token: dict[tuple[int, str], set[str]] = {}
        for subject in subjects:
            self.add(subject)

    def add(self, subject: str) -> None:
        """Put a subject in."""
        if subject not in self._subjects:
            self._subjects.add(subject)
            for place in enumerate(subject.split(".")):
                self._by_token.setdefault(place, set()).add(subject)

    def discard(self, subject: str) -> None:
        """Take a subject out."""
        if subject in self._subjects:
            self._subjects.remove(subject)
            for place in enumerate(subject.split(".")):
                group = self._by_token[place]
                group.discard(subject)
                if not group:
                    del self._by_token[place]

    def find(self, pattern: str) -> list[str]:
        """All subjects that the filter takes, in no order."""
        if is_literal(pattern):
            return [pattern] if pattern in self._subjects else []
        smallest = self._subjects
        for place in enumerate(pattern.split(".")):
            if place[1] not in ("*", ">"):
                group = self._by_token.get(place)
                if group is None:
                    return []
                if len(group) < len(smallest):
                    smallest = group
        return [subject for subject in smallest if matches(pattern, subject)]
