"""What adapters raise on purpose, and what the framework raises at them."""

from __future__ import annotations


class InvalidInput(ValueError):
    """The request is at fault: the same inputs fail everywhere, so the job is not tried again.

    Attributes:
        message: what is wrong and what is wanted, without the field.
        field: the key in `inputs` at fault (`text_prompt`), or None when it is not one key.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class JobCancelled(BaseException):
    """Somebody asked for the end of this job; raised by `check_cancelled()`.

    Not an `Exception`, for the reason that made `asyncio.CancelledError` one no more: an adapter's `except Exception`
    around a sampling step must not swallow it.
    """


class AdapterUnavailable(Exception):
    """The adapter cannot be used here: its module, class, licence or weights are missing, or its config is wrong."""


class UnknownAdapter(LookupError):
    """No adapter of that id is registered."""
