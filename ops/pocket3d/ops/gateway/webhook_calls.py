"""Calls a webhook's receiver: never an address that it may not, whatever its name resolves to; no redirects."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit, urlunsplit

import httpx

from .webhook_desk import Gone
from .webhooks import is_public


class HttpSender:
    """Delivers over HTTP. The name is looked up once, judged, and that very address is called.

    Args:
        private: addresses of this machine and its networks may be called.
        timeout_s: for one delivery, seconds.
    """

    def __init__(self, *, private: bool, timeout_s: float) -> None:
        self._private = private
        self._timeout_s = timeout_s
        # No proxies of the environment: they would look names up anew.
        self._client = httpx.AsyncClient(follow_redirects=False, timeout=timeout_s, trust_env=False)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """As `Sender`."""
        try:
            status = await asyncio.wait_for(self._post(url, headers, body), self._timeout_s)
        except asyncio.TimeoutError:
            raise ConnectionError(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        if status == 410:
            raise Gone
        if not 200 <= status < 300:
            raise ConnectionError(f"the receiver answered {status}")

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        name = parts.hostname or ""
        address = await self._resolve(name, parts.port or (443 if parts.scheme == "https" else 80))
        host = f"[{address}]" if ":" in address else address
        pinned = urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, parts.query, ""))
        request = self._client.build_request(
            "POST", pinned, headers={**headers, "host": parts.netloc}, content=body, extensions={"sni_hostname": name}
        )
        # Of the answer nothing but its status is read.
        response = await self._client.send(request, stream=True)
        await response.aclose()
        return response.status_code

    async def _resolve(self, name: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            if not self._private and not is_public(address):
                raise ValueError(f"{name} is {address}, which is no public address")
        return addresses[0]
