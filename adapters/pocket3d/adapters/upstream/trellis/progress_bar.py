"""A stand-in for `tqdm` that tells of steps instead of drawing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

#: Takes (steps done, steps in all or None, what is being done).
Report = Callable[[int, "int | None", str], None]


def reporting_bar(report: Report, known_totals: dict[str, int]) -> type[Any]:
    """A class that takes the place of `tqdm.tqdm`.

    `report` is called after every step; what it raises leaves the loop, so it is also where a cancel takes effect.
    `known_totals` has the steps by description, for loops over iterators without a length.
    """

    class Bar:
        def __init__(
            self, iterable: Iterable[Any] | None = None, desc: str = "", total: int | None = None, **_drawing: Any
        ) -> None:
            self._iterable = iterable
            self._desc = desc
            length = len(iterable) if isinstance(iterable, Sized) else None
            self._total = total if total is not None else known_totals.get(desc, length)
            self._done = 0

        def __iter__(self) -> Iterator[Any]:
            for each in self._iterable or ():
                yield each
                self.update()

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_error: object) -> None:
            """Nothing is drawn, so nothing is closed."""

        def update(self, steps: int = 1) -> None:
            self._done += steps
            report(self._done, self._total, self._desc)

        def set_description(self, desc: str) -> None:
            self._desc = desc

        def close(self) -> None:
            """Nothing is drawn, so nothing is closed."""

        def set_postfix(self, *_shown: Any, **_values: Any) -> None:
            """Losses are not shown."""

        @staticmethod
        def write(text: str, *_where: Any, **_options: Any) -> None:
            """Goes to the worker's log like all that a model prints."""
            print(text)  # noqa: T201

    return Bar
