"""A zip whose files are stored as they are, or deflated; the same content gives the same bytes."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO

#: The earliest date that a zip can name.
_DATE = (1980, 1, 1, 0, 0, 0)
#: A local header without its name and extra field (APPNOTE 4.3.7).
_HEADER = 30
#: An id that no program has, for bytes that only fill up.
_FILL = 0x1986


def zip_bytes(files: Mapping[str, bytes], *, packed: bool = True, aligned: int = 1) -> bytes:
    """Put files into a zip, in their order.

    Args:
        files: by their paths.
        packed: deflated; else stored.
        aligned: each stored file begins at a multiple of so many bytes.
    """
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            if aligned > 1:
                # An extra field has four bytes of its own.
                start = target.tell() + _HEADER + len(path.encode()) + 4
                entry.extra = struct.pack("<HH", _FILL, -start % aligned) + b"\0" * (-start % aligned)
            archive.writestr(entry, data)
    return target.getvalue()
