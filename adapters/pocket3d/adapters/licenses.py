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
        weights = None if self.weights is None else f"weights {self.weights}"
        use = None if self.commercial_use else "no commercial use"
        return ", ".join(filter(None, (f"code {self.code}", weights, use, self.territory, self.url)))
