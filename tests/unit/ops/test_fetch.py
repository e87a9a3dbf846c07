"""Weights from folders of every layout, from addresses, and what is said where they are not."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.recipe import File, Weights
from pocket3d.ops.installer.fetch import (
    FetchError,
    download,
    is_mirror,
    is_whole,
    missing_in_folder,
    take_file,
    take_weights,
)
from pocket3d.ops.installer.steps import FetchFile, FetchWeights

DATA = bytes(range(256)) * 4096
REVISION = "9cd649ba6913f7a852e3286bad86bfa9a2d83dcf"


def weights(folder: Path, *files: str, revision: str = REVISION) -> FetchWeights:
    wanted = Weights(repository="me/cat", folder="weights/cat", revision=revision, files=files, size_mb=1)
    return FetchWeights(weights=wanted, folder=str(folder / "weights" / "cat"))


@pytest.mark.parametrize(
    "layout",
    [
        "me/cat",
        "cat",
        f"models--me--cat/snapshots/{REVISION}",
        f"hub/models--me--cat/snapshots/{REVISION}",
        "cats/weights/cat",
        "weights/cat",
    ],
)
def test_a_folder_of_each_layout_is_taken(tmp_path: Path, layout: str) -> None:
    place, model = tmp_path / "usb" / layout, tmp_path / "models" / "cats"
    (place / "unet").mkdir(parents=True)
    (place / "blob").write_bytes(DATA)
    (place / "config.json").symlink_to(place / "blob")
    (place / "unet" / "net.bin").write_bytes(DATA)
    (place / "unet" / "net.onnx").write_bytes(b"unwanted")
    (place / ".cache").mkdir()
    (place / ".cache" / "unet.bin").write_bytes(b"of the hub's client")
    step = weights(model, "config.json", "*.bin")
    assert missing_in_folder(step, tmp_path / "usb", model) is None
    assert take_weights(step, tmp_path / "usb", model) == 2
    taken = sorted(str(file.relative_to(step.folder)) for file in Path(step.folder).rglob("*") if file.is_file())
    assert taken == ["config.json", "unet/net.bin"]
    # A link to another disk that is unplugged tomorrow is no file.
    assert not (Path(step.folder) / "config.json").is_symlink()
    assert (Path(step.folder) / "config.json").read_bytes() == DATA
    # Once more, over what is there.
    assert take_weights(step, tmp_path / "usb", model) == 2


def test_what_a_folder_lacks_is_said(tmp_path: Path) -> None:
    model = tmp_path / "models" / "cats"
    (tmp_path / "me" / "cat").mkdir(parents=True)
    (tmp_path / "me" / "cat" / "config.json").touch()
    step = weights(model, "config.json", "net.bin")
    assert missing_in_folder(step, tmp_path, model) == f"{tmp_path} has no me/cat with config.json, net.bin"
    assert missing_in_folder(step, tmp_path / "usb", model) == f"there is no folder {tmp_path / 'usb'}"
    with pytest.raises(FetchError, match="has no me/cat"):
        take_weights(step, tmp_path, model)
    # Another commit's files are not this one's.
    other = tmp_path / "usb" / "models--me--cat" / "snapshots" / ("0" * 40)
    other.mkdir(parents=True)
    (other / "config.json").touch()
    assert missing_in_folder(weights(model, "config.json"), tmp_path / "usb", model) is not None
    assert missing_in_folder(weights(model, "config.json", revision="main"), tmp_path / "usb", model) is None


def test_what_is_named_must_be_there(tmp_path: Path) -> None:
    step = weights(tmp_path, "config.json", "*.bin")
    Path(step.folder).mkdir(parents=True)
    assert not is_whole(step)
    (Path(step.folder) / "config.json").touch()
    assert is_whole(step)


class Files(http.server.BaseHTTPRequestHandler):
    """Gives DATA at /hub/cat.bin, whole or from where it is asked to go on."""

    asked: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if not self.path.endswith("/cat.bin") or "nowhere" in self.path:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.end_headers()
        self.wfile.write(DATA[start:])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[str]:
    Files.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def file(url: str, folder: Path, sha256: str | None = None) -> FetchFile:
    return FetchFile(file=File(url=url, path="w/cat.bin", size_mb=1, sha256=sha256), target=str(folder / "w/cat.bin"))


def test_a_download_goes_on_where_it_stopped(tmp_path: Path, server: str) -> None:
    step = file(f"{server}/hub/cat.bin", tmp_path, hashlib.sha256(DATA).hexdigest())
    target = Path(step.target)
    target.parent.mkdir()
    target.with_name("cat.bin.part").write_bytes(DATA[:1000])
    download(step, print)
    assert target.read_bytes() == DATA and Files.asked == [("/hub/cat.bin", "bytes=1000-")]
    # Whole, but not yet renamed, when it was killed: the server has nothing behind it.
    target.rename(target.with_name("cat.bin.part"))
    download(step, print)
    assert target.read_bytes() == DATA


def test_a_mirror_is_asked_first_and_the_address_then(tmp_path: Path, server: str) -> None:
    host = server.removeprefix("http://")
    download(file(f"{server}/hub/cat.bin", tmp_path), print, f"{server}/mirror/")
    assert Files.asked == [(f"/mirror/{host}/hub/cat.bin", None)]
    download(file(f"{server}/hub/cat.bin", tmp_path / "again"), print, f"{server}/nowhere")
    assert [path for path, _ in Files.asked[1:]] == [f"/nowhere/{host}/hub/cat.bin", "/hub/cat.bin"]
    assert is_mirror("https://hf-mirror.example") and not is_mirror("/mnt/usb")


def test_another_file_is_refused_and_not_kept(tmp_path: Path, server: str) -> None:
    step = file(f"{server}/hub/cat.bin", tmp_path, "0" * 64)
    with pytest.raises(FetchError, match="its SHA-256 is"):
        download(step, print)
    assert list((tmp_path / "w").iterdir()) == []
    usb = tmp_path / "usb" / "127.0.0.1" / "hub"
    usb.mkdir(parents=True)
    (usb / "cat.bin").write_bytes(DATA)
    from_usb = file("http://127.0.0.1/hub/cat.bin", tmp_path, "0" * 64)
    with pytest.raises(FetchError, match="its SHA-256 is"):
        take_file(from_usb, tmp_path / "usb", tmp_path)
    # A person's own file is not removed for it.
    assert (usb / "cat.bin").is_file()
    with pytest.raises(FetchError, match="404"):
        download(file(f"{server}/nowhere/cat.bin", tmp_path), print)
