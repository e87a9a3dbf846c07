"""The jobs of a table, of JSON lines, of a folder; and the ids by which they go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.chains import MAX_GROUP_JOBS, GroupRequest
from pocket3d.contracts.codec import convert, encode
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN
from pocket3d.ops.batch import Row, files_of, groups_of, job_ids, read_batch, retried_id
from pocket3d.ops.inputs import InputError, LocalFile

SCHEMA = {"properties": {"text_prompt": {"type": "string"}, "seed": {"type": "integer"}}}


def read(source: Path, feature: str = "text_to_mesh", **common: Any) -> list[Row]:
    return read_batch(source, feature, common, [SCHEMA])


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_typed_by_the_schema(tmp_path: Path) -> None:
    rows = read(
        write(tmp_path, "a.csv", '\ufefftext_prompt,seed,metadata.order\n"a chair, red",7,4711\n\na table,,\n'),
        output_format="obj",
    )
    assert rows == [
        Row("a.csv:2", {"output_format": "obj", "text_prompt": "a chair, red", "seed": 7}, {"order": "4711"}),
        Row("a.csv:4", {"output_format": "obj", "text_prompt": "a table"}, {}),
    ]


def test_files_of_a_table_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    (row,) = read(write(tmp_path, "a.csv", "image_path,image_paths\ncat.png,cat.png\n"), "image_to_mesh")
    assert row.inputs == {
        "image_path": LocalFile(tmp_path / "cat.png"),
        "image_paths": [LocalFile(tmp_path / "cat.png")],
    }
    assert files_of([row]) == [tmp_path / "cat.png"]


def test_a_table_may_name_what_other_jobs_make(tmp_path: Path) -> None:
    (tmp_path / "here.glb").write_bytes(b"glTF")
    source = write(tmp_path, "a.csv", "mesh_path\n@chair-1\n@chair-1/a.glb\n@here.glb\n")
    assert [row.inputs["mesh_path"] for row in read(source, "auto_rig")] == [
        {"result": "chair-1"},
        {"result": "chair-1", "name": "a.glb"},
        LocalFile(tmp_path / "here.glb"),
    ]


def test_lines_of_json_keep_their_types(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    reference = {"artifact": "sha256-0"}
    source = write(
        tmp_path,
        "a.jsonl",
        '{"image_paths": ["cat.png", {"artifact": "sha256-0"}], "seed": 7.5, "metadata.n": 1}\n\n'
        '{"mesh_path": {"artifact": "sha256-0"}}\n',
    )
    assert read(source, "image_to_mesh") == [
        Row("a.jsonl:1", {"image_paths": [LocalFile(tmp_path / "cat.png"), reference], "seed": 7.5}, {"n": 1}),
        Row("a.jsonl:3", {"mesh_path": reference}, {}),
    ]


def test_each_file_of_a_folder_is_a_job(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    assert [row.place for row in read(tmp_path, "image_to_mesh")] == ["a.JPG", "b.png"]
    with pytest.raises(InputError, match="image_to_texture takes mesh_path and image_path: write a "):
        read(tmp_path, "image_to_texture")
    with pytest.raises(InputError, match="text_to_mesh takes no file"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "", "a.csv:1: the first line must name the inputs"),
        ("a.csv", "text_prompt,\na,b\n", "a.csv:1: the first line must name"),
        ("a.csv", "text_prompt\n", "there is no job in it"),
        ("a.csv", "text_prompt\na,b\n", "a.csv:2: 2 cells, and the first line names 1"),
        ("a.csv", "seed\nmany\n", "a.csv:2: seed='many': want integer"),
        ("a.csv", "image_path\nnowhere.png\n", "a.csv:2: no file '.*nowhere.png'"),
        ("a.csv", 'text_prompt\n"a\n', "a.csv:2: unexpected end of data"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: want an object of inputs"),
        ("a.jsonl", "{}\n{\n", "a.jsonl:2: not JSON"),
        ("a.txt", "a chair\n", "a batch is a .csv, a .jsonl or a folder"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(write(tmp_path, name, text))


def test_a_batch_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file or folder"):
        read(tmp_path / "nowhere.csv")


def test_an_id_is_made_of_what_is_asked() -> None:
    rows = [
        Row("1", {"seed": 1}, {}),
        Row("2", {"seed": 2}, {}),
        Row("3", {"seed": 1}, {}),
        Row("4", {"seed": 1}, {"n": 1}),
    ]
    ids = job_ids(rows, "echo", {}, {})
    assert len(set(ids)) == 4
    assert ids[2] == f"{ids[0]}-2", "the same row once more is a job of its own"
    assert job_ids(rows, "echo", {}, {}) == ids
    assert job_ids(rows[1:], "echo", {}, {})[0] == ids[1], "where a row stands does not matter"
    for other in (job_ids(rows, "other", {}, {}), job_ids(rows, "echo", {"priority": "low"}, {})):
        assert not set(other) & set(ids)
    assert retried_id(ids[2], 3) == f"{ids[2]}-r3"


def test_a_file_counts_by_its_content_and_its_name(tmp_path: Path) -> None:
    def ids(path: Path, digest: str) -> list[str]:
        return job_ids([Row("1", {"image_path": LocalFile(path)}, {})], "image_to_mesh", {}, {path: digest})

    here = ids(tmp_path / "cat.png", "d1")
    assert ids(tmp_path / "elsewhere" / "cat.png", "d1") == here
    assert ids(tmp_path / "cat.png", "d2") != here
    assert ids(tmp_path / "dog.png", "d1") != here


def test_the_jobs_of_a_batch_in_groups() -> None:
    jobs = [{"job_id": f"b{number}", "feature": "echo", "inputs": {}} for number in range(MAX_GROUP_JOBS + 2)]
    first, second = groups_of("prompts", jobs, 1_000_000)
    assert (first.jobs, second.jobs) == (jobs[:MAX_GROUP_JOBS], jobs[MAX_GROUP_JOBS:])
    assert re.fullmatch("prompts-[0-9a-f]{20}", first.group_id) and first.group_id != second.group_id
    assert groups_of("prompts", iter(jobs), 1_000_000) == [first, second]
    assert groups_of("prompts", [*jobs, {"job_id": "b", "feature": "echo", "inputs": {}}], 1_000_000)[0] == first


def test_a_group_has_the_size_of_a_message_and_an_id_for_a_subject() -> None:
    jobs = [{"job_id": f"b{number}", "feature": "echo", "inputs": {"x": "y" * 60}} for number in range(50)]
    groups = groups_of("a", jobs, 8192)
    for group in groups:
        request = convert(GroupRequest, {"group_id": group.group_id, "jobs": group.jobs})
        assert len(encode(request)) < 8192 + 200, "with what the jobs leave out"
    assert [job for group in groups for job in group.jobs] == jobs
    assert len(groups[0].jobs) >= 10
    assert groups_of("a", jobs, 100) == []
    for name in ("", "Möbel (alt) 2024 für den Laden.v2", "a.b"):
        (group,) = groups_of(name, jobs[:1], 8192)
        assert CHAIN_ID_PATTERN.fullmatch(group.group_id), group.group_id
