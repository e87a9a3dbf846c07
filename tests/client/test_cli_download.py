"""What `--download` writes and says, for `pocket3d submit` and `pocket3d result`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pocket3d.bus.client import Client
from pocket3d.ops.cli.errors import CliError
from pocket3d.ops.cli.output import write_files
from support.job_teller import Teller


@pytest.fixture
async def job(client: Client, tell: Callable[..., Teller]) -> Teller:
    job = tell()
    await job.result(job.make_result(artifacts=[await job.output("generated_mesh.glb", b"mesh")]))
    return job


async def test_where_the_files_are_is_printed(
    client: Client, job: Teller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = tmp_path / "out" / job.job_id / "generated_mesh.glb"
    await write_files(client.job(job.job_id), tmp_path / "out", overwrite=False, as_json=False)
    assert mesh.read_bytes() == b"mesh"
    await write_files(client.job(job.job_id), tmp_path / "out", overwrite=False, as_json=True)
    assert capsys.readouterr() == (f"wrote {mesh}\n", f"wrote {mesh}\n")


async def test_another_file_is_kept_and_the_way_out_is_told(client: Client, job: Teller, tmp_path: Path) -> None:
    mine = tmp_path / job.job_id / "generated_mesh.glb"
    mine.parent.mkdir()
    mine.write_bytes(b"my own")
    with pytest.raises(CliError, match="is another file than job chair-0001 made") as caught:
        await write_files(client.job(job.job_id), tmp_path, overwrite=False, as_json=False)
    assert caught.value.hint == "--overwrite replaces it"
    assert mine.read_bytes() == b"my own"
    await write_files(client.job(job.job_id), tmp_path, overwrite=True, as_json=False)
    assert mine.read_bytes() == b"mesh"


async def test_a_folder_that_cannot_be_written_to_is_told(client: Client, job: Teller, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file, no folder")
    with pytest.raises(CliError, match=r"cannot write to .*out/chair-0001: Not a directory"):
        await write_files(client.job(job.job_id), tmp_path / "out", overwrite=False, as_json=False)
