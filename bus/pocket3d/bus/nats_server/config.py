"""The configuration file of the embedded nats-server, as text. Pure: writes and starts nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

#: What a server takes as one message, bytes. Requests (256 KiB) and results (512 KiB) fit with their headers.
MAX_PAYLOAD = 1024 * 1024
#: Who may ask for the server's reports (`nats server report ...`).
SYSTEM_USER = "sys"
_LOG_LIMIT = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What is fixed about one run of a server; ports are real ones here, never 0."""

    server_name: str
    host: str
    port: int
    #: Of the monitoring pages (`/healthz`, `/varz`, `/jsz`); None for none.
    http_port: int | None
    #: JetStream keeps its streams in `<store>/jetstream`.
    store: Path
    log_file: Path
    max_payload: int = MAX_PAYLOAD
    #: `always`, or a duration such as `1s`; None for the server's default of two minutes.
    sync_interval: str | None = None
    #: Of the user `sys` in the system account, who may ask for the server's reports; None for no such user.
    system_password: str | None = None
    #: None: the listener stays off.
    websocket_port: int | None = None

    def render(self) -> str:
        """The file's text, in nats-server's own format."""
        lines = [
            "# Written by Pocket3DStudio at each start of the embedded server: changes made here are lost.",
            f"server_name: {_quoted(self.server_name)}",
            f"host: {_quoted(self.host)}",
            f"port: {self.port}",
            f"max_payload: {self.max_payload}",
            f"log_file: {_quoted(self.log_file)}",
            f"logfile_size_limit: {_LOG_LIMIT}",
            "logfile_max_num: 2",
        ]
        if self.http_port is not None:
            lines.append(f"http: {_quoted(f'{self.host}:{self.http_port}')}")
        lines += ["jetstream {", f"  store_dir: {_quoted(self.store)}"]
        if self.sync_interval is not None:
            lines.append(f"  sync_interval: {_quoted(self.sync_interval)}")
        lines += [
            "}",
            "# With the second form of ack subjects, ordered consumers of nats-py 2.16 end their connection for good.",
            "feature_flags { js_ack_fc_v2: false }",
        ]
        if self.system_password is not None:
            # Clients without a name stay in the account `$G`, which has the streams.
            user = f"{{ user: {SYSTEM_USER}, password: {_quoted(self.system_password)} }}"
            lines.append(f"accounts {{ $SYS {{ users: [ {user} ] }} }}")
        websocket = f"websocket {{ host: {_quoted(self.host)}, port: {self.websocket_port or 9222}, no_tls: true }}"
        if self.websocket_port is None:
            websocket = f"# For browsers; off unless a websocket port is given:\n# {websocket}"
        lines.append(websocket)
        return "\n".join(lines) + "\n"


def _quoted(value: str | Path) -> str:
    """A string in double quotes; the format takes JSON's escapes for quotes and backslashes, but no `\\u`."""
    return json.dumps(str(value), ensure_ascii=False)
