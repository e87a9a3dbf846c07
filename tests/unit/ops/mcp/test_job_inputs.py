"""An agent's inputs: which texts are names of files."""

from __future__ import annotations

from pathlib import Path

from pocket3d.ops.mcp.job_inputs import with_files


def test_texts_under_a_files_key_are_files() -> None:
    found = with_files(
        {
            "image_path": "cat.png",
            "image_paths": ["a.png", {"artifact": "sha256-ab"}],
            "mesh_path": {"result": "job-1"},
            "text_prompt": "a.png",
        },
        Path,
    )
    assert found == {
        "image_path": Path("cat.png"),
        "image_paths": [Path("a.png"), {"artifact": "sha256-ab"}],
        "mesh_path": {"result": "job-1"},
        "text_prompt": "a.png",
    }
