"""A module that cannot be imported, because a package is missing: `class: "misbehaving_import.Adapter"`."""

import package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401
