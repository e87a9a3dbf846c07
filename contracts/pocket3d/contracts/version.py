"""The version of this software: the wheel, the command line, adverts and micro services all read it here."""

from __future__ import annotations

#: As semantic versioning has it, which micro services want, too.
VERSION = "0.1.0"
