"""Reading a child's pipe.

asyncio's own subprocess pipes are not used anywhere: with them, waiting for a process also waits until nobody holds its
pipes any more, and a daemon that a model left behind may hold them for ever.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

READ_BYTES = 64 * 1024


@asynccontextmanager
async def reading(read_end: int) -> AsyncIterator[asyncio.StreamReader]:
    """A stream over the reading end of `os.pipe()`, which is closed afterwards."""
    reader = asyncio.StreamReader(limit=READ_BYTES)
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        yield reader
    finally:
        transport.close()
