"""What can be set of a gateway: `POCKET3D_GATEWAY_<FIELD>` or `--set field=value`. Pure."""

from __future__ import annotations

import msgspec

MIB = 1 << 20


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes."""

    #: File of tokens (see `tokens.read_tokens`); without one everybody who reaches the port may do everything.
    tokens_file: str | None = None
    #: Origins of other sites whose pages may call the gateway, e.g. `https://studio.example`; `*` for all.
    origins: list[str] = []
    #: Names by which it may be addressed, beside `localhost` and the loopback addresses, where it listens there.
    hosts: list[str] = []
    #: Largest JSON request.
    request_max_bytes: int = MIB
    #: Largest uploaded file, and largest multipart request.
    upload_max_bytes: int = 512 * MIB
    #: So many uploads are read at a time, three quarters of them of one token; others wait, unread.
    uploads_at_once: int = 256
    #: An upload of which less than 64 KiB come in so long is given up.
    upload_idle_s: float = 30.0
    #: Files that are sent at a time, all together and to one token: a slow reader holds a megabyte of this process.
    downloads_max: int = 256
    downloads_per_token: int = 192
    #: Requests of one token (or, without tokens, one address): as many at once, and so many a second on end.
    rate_burst: int = 400
    rate_per_s: float = 100.0
    #: Open event streams, all together and of one token.
    streams_max: int = 4000
    streams_per_token: int = 2000
    #: Events that a stream's reader may be behind; then it is told what it missed and the stream ends.
    stream_queue: int = 256
    #: A comment is sent over a quiet stream this often, so that proxies leave it open.
    stream_ping_s: float = 15.0
    #: A reader that takes nothing for so long is cut off; of files too.
    send_timeout_s: float = 30.0
    #: Registered webhooks, all tenants together.
    webhooks_max: int = 100
    #: Webhooks may go to private, loopback and link-local addresses.
    webhooks_private: bool = False
    #: Time for one delivery.
    webhook_timeout_s: float = 10.0
    #: The history of `/v1/stats`: so many intervals of so long.
    stats_interval_s: float = 10.0
    stats_intervals: int = 360

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
                raise ValueError(f"{name} {value}: want more than 0")
