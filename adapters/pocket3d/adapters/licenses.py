"""What may be done with a model's code and weights."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

#: Whether commercial use is allowed; `unclear` also where nobody said.
Commercial = Literal["yes", "no", "unclear"]
_COUNTRY = re.compile("[A-Z]{2}")
#: ISO 3166-1 codes of the European Union's members, and the one that is reserved for the Union itself.
EUROPEAN_UNION = (
    *("EU", "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE"),
    *("IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)


class License(msgspec.Struct, frozen=True, kw_only=True):
    """Licence of an adapter's upstream code and weights, as its authors state it.

    Raises:
        ValueError: an excluded territory that is no code of ISO 3166-1.
    """

    #: Of the code, an SPDX id or the licence's own name.
    code: str
    #: Of the weights; None when there are none.
    weights: str | None = None
    #: None where it is unclear: the licence has conditions that not everybody meets, or nobody read it.
    commercial_use: bool | None = None
    #: Where it may not be used, in words.
    territory: str | None = None
    #: The same as codes of ISO 3166-1 (alpha-2), by which a host's setting `territory` is judged.
    excluded_territories: tuple[str, ...] = ()
    url: str | None = None
    #: True if the operator has to write `accept_license: true` in `models.yaml` first.
    requires_acceptance: bool = False

    def __post_init__(self) -> None:
        for each in self.excluded_territories:
            if not _COUNTRY.fullmatch(each):
                raise ValueError(f"excluded_territories {each!r}: want codes of ISO 3166-1 such as DE")

    @property
    def commercial(self) -> Commercial:
        """`commercial_use` as adverts say it."""
        return "unclear" if self.commercial_use is None else "yes" if self.commercial_use else "no"

    def summary(self) -> str:
        """The terms as one line for people."""
        weights = None if self.weights is None else f"weights {self.weights}"
        use = None if self.commercial_use else "no commercial use" if self.commercial_use is False else _UNCLEAR
        return ", ".join(filter(None, (f"code {self.code}", weights, use, self.territory, self.url)))


_UNCLEAR = "commercial use unclear"
