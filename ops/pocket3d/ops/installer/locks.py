"""The resolved set of packages of a recipe, as a file of pip constraints with comments. Pure.

`ops/lock_recipes.py` makes them; `adapters install` takes their versions, so that what was resolved once is what is
installed next year.
"""

from __future__ import annotations

import re

import msgspec

_HEAD = re.compile(r"# Python (?P<python>[\d.]+) on (?P<machine>\w+), resolved on (?P<date>[\d-]+)")
_SIZE = re.compile(r"# download: (?P<mb>\d+) MB")
_LOST = "# index not reachable: "


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What pip chose for a recipe, all parts together."""

    recipe: str
    python: str
    machine: str
    #: ISO date.
    date: str
    #: Name -> version, of what was resolved.
    packages: dict[str, str]
    #: Requirements whose index could not be reached when it was made: their versions are the recipe's alone.
    unresolved: tuple[str, ...] = ()
    #: Of what was resolved, MB; None where the index does not say.
    download_mb: int | None = None

    def fits(self, python: str | None, machine: str) -> bool:
        """True for this interpreter version and machine: wheels differ from one to the other."""
        return python == self.python and machine == self.machine

    def text(self) -> str:
        """The file."""
        lines = [
            f"# Lock of the recipe {self.recipe}, a file of constraints for pip. Made by ops/lock_recipes.py.",
            f"# Python {self.python} on {self.machine}, resolved on {self.date}",
        ]
        if self.download_mb is not None:
            lines.append(f"# download: {self.download_mb} MB in {len(self.packages)} packages")
        lines += [f"{_LOST}{each}" for each in self.unresolved]
        lines += [f"{name}=={number}" for name, number in sorted(self.packages.items())]
        return "\n".join(lines) + "\n"


def read_lock(recipe: str, text: str) -> Lock:
    """The lock of that recipe's file.

    Raises:
        ValueError: it is none.
    """
    head, size = _HEAD.search(text), _SIZE.search(text)
    if head is None:
        raise ValueError("it does not say for which Python it was resolved")
    lines = text.splitlines()
    pins = [line.split("==", 1) for line in lines if line and not line.startswith("#")]
    if any(len(pin) != 2 for pin in pins):
        raise ValueError("a line is no `name==version`")
    return Lock(
        recipe=recipe,
        python=head["python"],
        machine=head["machine"],
        date=head["date"],
        packages={pin[0]: pin[1] for pin in pins},
        unresolved=tuple(line.removeprefix(_LOST) for line in lines if line.startswith(_LOST)),
        download_mb=int(size["mb"]) if size else None,
    )
