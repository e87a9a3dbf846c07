"""What may leave a worker: JSON, and files of this very request."""

from __future__ import annotations

import os
import socket
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.runtime.output_files import InvalidOutput
from pocket3d.adapters.runtime.outputs import clean_outputs, is_small
from pocket3d.contracts.artifact_names import artifact_name
from pocket3d.contracts.jobs import MAX_RESULT_BYTES

HOUR_NS = 3600 * 10**9


class Folders:
    def __init__(self, root: Path) -> None:
        self.out = root / "job" / "out"
        self.inputs = root / "job" / "inputs"
        self.elsewhere = root / "elsewhere"
        for each in (self.out, self.inputs, self.elsewhere):
            each.mkdir(parents=True)

    def clean(self, returned: Any, inputs: Any = None, published: Any = None, started_ns: int | None = None) -> Any:
        return clean_outputs(
            returned,
            output_dir=self.out,
            inputs=inputs or {},
            published=published,
            started_ns=time.time_ns() - HOUR_NS if started_ns is None else started_ns,
        )


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def file(path: Path, text: str = "glTF", age_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if age_s:
        stamp = time.time_ns() - int(age_s * 1e9)
        stamp += 1 if stamp % 10**9 == 0 else 0
        os.utime(path, ns=(stamp, stamp))
    return path


def test_relative_absolute_listed_and_nested_paths_become_names(folders: Folders) -> None:
    file(folders.out / "chair.glb")
    file(folders.out / "parts" / "leg 1.glb")
    thumbnail = file(folders.out / "thumb.png")
    outputs, files = folders.clean(
        {
            "output_mesh_path": "chair.glb",
            "part_paths": ["parts/leg 1.glb", str(folders.out / "chair.glb")],
            "generation_info": {"preview_path": thumbnail, "also": str(thumbnail)},
            "thumbnail_path": None,
            "texture_path": "",
        }
    )
    assert outputs == {
        "output_mesh_path": "chair.glb",
        "part_paths": ["parts/leg_1.glb", "chair.glb"],
        "generation_info": {"preview_path": "thumb.png", "also": "thumb.png"},
        "thumbnail_path": None,
        "texture_path": None,
    }
    assert [(each.name, Path(each.path).name, each.size) for each in files] == [
        ("chair.glb", "chair.glb", 4),
        ("parts/leg_1.glb", "leg 1.glb", 4),
        ("thumb.png", "thumb.png", 4),
    ]


def test_inputs_that_are_mentioned_again_become_their_filenames(folders: Folders) -> None:
    image = file(folders.inputs / "cat.png")
    inputs = {"image_paths": [str(image)], "note_path": None}
    outputs, files = folders.clean(
        {"image_path": str(image), "generation_info": {"input_image": str(image)}}, inputs=inputs
    )
    assert outputs == {"image_path": "cat.png", "generation_info": {"input_image": "cat.png"}} and files == []


def test_a_text_that_only_looks_like_a_path_stays(folders: Folders) -> None:
    texts = {"prompt": "/etc/passwd", "note": "chair.glb", "long": "/" + "x" * 5000, "zero": "/a\0b"}
    outputs, files = folders.clean(dict(texts))
    assert outputs == texts and files == []


def test_published_inputs_go_back_untouched_but_nothing_else_does(folders: Folders) -> None:
    published = {"deep": {"a_path": "anything"}}
    assert folders.clean({"inputs": published}, inputs=published)[0] == {"inputs": published}
    with pytest.raises(InvalidOutput, match=r"outputs\.inputs\.deep\.a_path"):
        folders.clean({"inputs": published}, inputs={"other": 1})


def test_names_are_unique_also_for_systems_without_case(folders: Folders) -> None:
    file(folders.out / "a b.glb")
    file(folders.out / "a+b.glb")
    file(folders.out / "A_B.glb")
    outputs, files = folders.clean({"mesh_paths": ["a b.glb", "a+b.glb", "A_B.glb"]})
    assert outputs == {"mesh_paths": ["a_b.glb", "a_b-2.glb", "A_B-3.glb"]}
    assert [Path(each.path).name for each in files] == ["a b.glb", "a+b.glb", "A_B.glb"]


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("chair.glb", "chair.glb"),
        ("Stühle/ß 1.glb", "St_hle/_1.glb"),
        (".hidden", "_hidden"),
        ("-rf", "_rf"),
        ("x" * 300 + ".glb", "x" * 116 + ".glb"),
        ("a\nb", "a_b"),
    ],
)
def test_names_are_safe(given: str, safe: str) -> None:
    assert artifact_name(given) == safe


def test_a_new_file_outside_is_copied_in_under_a_free_name(folders: Folders) -> None:
    file(folders.out / "mesh.glb", "mine")
    outside = file(folders.elsewhere / "mesh.glb", "other")
    outputs, files = folders.clean(
        {"output_mesh_path": str(outside), "again_path": str(outside), "own_path": "mesh.glb"}
    )
    assert outputs == {"output_mesh_path": "mesh-2.glb", "again_path": "mesh-2.glb", "own_path": "mesh.glb"}
    assert [Path(each.path).read_text() for each in files] == ["other", "mine"]
    assert (folders.out / "mesh.glb").read_text() == "mine" and outside.exists()


def test_a_link_in_the_folder_to_a_new_file_outside_is_copied_too(folders: Folders) -> None:
    outside = file(folders.elsewhere / "mesh.glb")
    (folders.out / "link.glb").symlink_to(outside)
    outputs, files = folders.clean({"output_mesh_path": str(folders.out / "link.glb")})
    assert outputs == {"output_mesh_path": "mesh.glb"} and Path(files[0].path) == folders.out / "mesh.glb"


def test_a_file_written_before_the_job_is_not_its_own(folders: Folders) -> None:
    started = time.time_ns()
    for age_s, taken in ((1.0, False), (0.1, False), (0.005, True), (-1.0, True)):
        outside = file(folders.elsewhere / f"{age_s}.glb")
        stamp = started - int(age_s * 1e9)
        stamp += 1 if stamp % 10**9 == 0 else 0
        os.utime(outside, ns=(stamp, stamp))
        if taken:
            assert folders.clean({"mesh_path": str(outside)}, started_ns=started)[1]
        else:
            with pytest.raises(InvalidOutput, match="was not written during this job"):
                folders.clean({"mesh_path": str(outside)}, started_ns=started)


def test_a_file_system_of_whole_seconds_gets_its_margin(folders: Folders) -> None:
    started = 1_800_000_000_900_000_000
    for second, taken in ((1_800_000_000, True), (1_799_999_999, True), (1_799_999_998, False)):
        outside = file(folders.elsewhere / f"{second}.glb")
        os.utime(outside, ns=(second * 10**9, second * 10**9))
        if taken:
            assert folders.clean({"mesh_path": str(outside)}, started_ns=started)[1]
        else:
            with pytest.raises(InvalidOutput):
                folders.clean({"mesh_path": str(outside)}, started_ns=started)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("absent.glb", "cannot be read"),
        ("../inputs/cat.png", "leaves the output folder"),
        ("escape.glb", "leaves the output folder"),
        ("loop.glb", "loop.glb"),
        ("sub", "not a regular file"),
        ("pipe", "not a regular file"),
        ("{elsewhere}/pipe", "not a regular file"),
        ("{elsewhere}/socket", "not a regular file"),
        ("{elsewhere}", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("{elsewhere}/old.glb", "was not written during this job"),
        ("{out}/to-old.glb", "was not written during this job"),
        ("{elsewhere}/absent.glb", "cannot be read"),
        ("a\0b", "is no path"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_a_path_that_is_no_file_of_this_job_is_refused(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, path: str, says: str
) -> None:
    file(folders.inputs / "cat.png")
    old = file(folders.elsewhere / "old.glb", age_s=7200)
    (folders.out / "escape.glb").symlink_to(old)
    (folders.out / "to-old.glb").symlink_to(old)
    (folders.out / "loop.glb").symlink_to(folders.out / "loop.glb")
    (folders.out / "sub").mkdir()
    os.mkfifo(folders.out / "pipe")
    os.mkfifo(folders.elsewhere / "pipe")
    monkeypatch.chdir(folders.elsewhere)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        given = path.format(elsewhere=folders.elsewhere, out=folders.out)
        with pytest.raises(InvalidOutput, match=r"^outputs\.mesh_path: ") as caught:
            folders.clean({"mesh_path": given})
    assert says in str(caught.value)


class Colour(Enum):
    RED = "red"


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_file_whose_name_is_no_text_is_refused_by_its_place(folders: Folders) -> None:
    name = os.fsdecode(b"\xff.glb")
    (folders.out / name).write_bytes(b"glTF")
    with pytest.raises(InvalidOutput, match=r"^outputs\.output_mesh_path: the name of the file .* is no UTF-8"):
        folders.clean({"output_mesh_path": name})


def test_values_of_python_become_values_of_json(folders: Folders) -> None:
    outputs, _ = folders.clean({"t": (1, 2), "e": Colour.RED, 5: {"x": None}, "b": True, "big": 2**64 - 1})
    assert outputs == {"t": [1, 2], "e": "red", "5": {"x": None}, "b": True, "big": 2**64 - 1}


def test_numpy_scalars_and_small_arrays_are_converted(folders: Folders) -> None:
    numpy = pytest.importorskip("numpy")
    outputs, _ = folders.clean(
        {
            "f": numpy.float32(0.5),
            "i": numpy.int64(7),
            "b": numpy.bool_(True),
            "a": numpy.array([[1.0, 2.0]]),
            "n": [numpy.float64(1.5)],
            "s": numpy.str_("x"),
        }
    )
    assert outputs == {"f": 0.5, "i": 7, "b": True, "a": [[1.0, 2.0]], "n": [1.5], "s": "x"}
    assert type(outputs["b"]) is bool and type(outputs["n"][0]) is float and type(outputs["s"]) is str
    for bad in (numpy.float32("nan"), numpy.array([1.0, numpy.inf]), numpy.array([object()]), numpy.zeros(10**6)):
        with pytest.raises(InvalidOutput, match=r"outputs\.x"):
            folders.clean({"x": bad})


@pytest.mark.torch
def test_single_values_of_torch_are_converted_and_tensors_are_not(folders: Folders) -> None:
    torch = pytest.importorskip("torch")
    assert folders.clean({"x": torch.tensor(3)})[0] == {"x": 3}
    with pytest.raises(InvalidOutput, match=r"outputs\.x: Tensor is no JSON value"):
        folders.clean({"x": torch.zeros(3)})


@pytest.mark.parametrize("bad", [b"x", {1, 2}, object(), 2**64, -(2**63) - 1, {None: 1}, {(1, 2): 3}, float("-inf")])
def test_what_json_cannot_say_is_refused_with_its_place(folders: Folders, bad: Any) -> None:
    with pytest.raises(InvalidOutput, match=r"^outputs\.a\[1\]"):
        folders.clean({"a": [0, bad]})


def test_the_size_has_its_limit(folders: Folders) -> None:
    room = MAX_RESULT_BYTES - len(b'{"x":""}')
    assert folders.clean({"x": "y" * room})[0]
    with pytest.raises(InvalidOutput, match="at most"):
        folders.clean({"x": "y" * (room + 1)})


@pytest.mark.parametrize(
    ("returned", "small"),
    [
        ({"success": True, "inputs": {"n": 1, "f": 0.5, "none": None, "list": [1, "two"]}}, True),
        ({"output_mesh_path": None}, False),
        ({"info": {"mask_paths": []}}, False),
        ({"note": "/tmp/x"}, False),
        ({"text": "x" * 256}, True),
        ({"text": "x" * 257}, False),
        ({"many": list(range(100))}, False),
        ({"other": Path("x")}, False),
        ({"bytes": b"x"}, False),
        (None, True),
    ],
)
def test_only_a_few_short_plain_values_are_looked_at_without_a_thread(returned: Any, small: bool) -> None:
    assert is_small(returned) is small
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert not is_small(endless)
