"""What may be done with a model's code and weights."""

from __future__ import annotations

import msgspec


class License(msgspec.Struct, frozen=True, kw_only=True):
    """Licence of an adapter's upstream code and weights, as its authors state it."""

    #: Of the code, an SPDX id or the licence's own name.
    code: str
    #: Of the weights; None when there are none.
    weights: str | None = None
    commercial_use: bool = True
    #: Where it may not be used, in words.
    territory: str | None = None
    url: str | None = None
    #: True if the operator has to write `accept_license: true` in `models.yaml` first.
    requires_acceptance: bool = False

    def summary(self) -> str:
        """The terms as one line for people."""
        parts = [f"code {self.code}"]
        if self.weights is not None:
            parts.append(f"weights {self.weights}")
        if not self.commercial_use:
            parts.append("no commercial use")
        if self.territory is not None:
            parts.append(self.territory)
        if self.url is not None:
            parts.append(self.url)
        return ", ".join(parts)
