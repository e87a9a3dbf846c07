"""The end of a request whose mesh is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import BaseModel

if TYPE_CHECKING:
    from ..mesh.glb_looks import Paint
    from ..mesh.glb_remade import Remade
    from ..mesh.inventory import Inventory
    from ..mesh.write import MeshPart


def write_and_finish(
    adapter: BaseModel,
    parts: Sequence[MeshPart],
    response: dict[str, Any],
    info_key: str,
    facts: Mapping[str, Any],
    source: Inventory | None = None,
    replaced: Collection[str] = (),
) -> dict[str, Any]:
    """Write the parts to `output_mesh_path`, compare the file with them, then `finish_mesh`."""
    from ..mesh.result import read_again
    from ..mesh.self_check import check_surface, surface_of
    from ..mesh.write import write_mesh

    adapter.step(0.9, "writing the file")
    target = Path(response["output_mesh_path"])
    extra = write_mesh(parts, target)
    scene = read_again(target)
    check_surface(surface_of(parts, target.suffix), surface_of(scene, target.suffix), target)
    # The vertices of an STL are told as they are stored, three for each triangle.
    kept = None if target.suffix == ".stl" else scene
    return finish_mesh(adapter, response, info_key, facts, extra, kept, source, replaced)


def write_kept(
    adapter: BaseModel,
    response: Mapping[str, Any],
    source: Path,
    scene: Any,
    made: Mapping[str, Remade],
    paint: Paint | None = None,
) -> Any:
    """Write what became of a GLB file's parts into its own document, to `output_mesh_path`.

    Args:
        adapter: whose request it is.
        response: names the file that is to be written.
        source: the file.
        scene: what `read_scene` read of it.
        made: see `mesh.glb_remade.remade_copy`, `paint` too.
        paint: what the parts' pictures replace; None where the looks stay.

    Returns:
        What `read_scene` reads of the written file; None where another format is wanted, or the file has to be written
        anew, and was not.

    Raises:
        BrokenOutput: the file is not what was meant.
    """
    from ..mesh.glb_remade import remade_copy
    from ..mesh.input import glb_bytes_of
    from ..mesh.kept_surface import kept_surface
    from ..mesh.read.glb_container import look_into
    from ..mesh.result import check_written, parts_statistics, read_again, scene_statistics
    from ..mesh.self_check import check_surface, surface_of

    target = Path(response["output_mesh_path"])
    data = glb_bytes_of(source) if target.suffix == ".glb" else b""
    copy = remade_copy(data, scene, made, paint) if data else None
    if copy is None:
        return None
    adapter.step(0.9, "writing the file")
    target.write_bytes(copy)
    written = read_again(target)
    check_written(parts_statistics([each.part for each in made.values()]), scene_statistics(written), target)
    check_surface(kept_surface(scene, made, paint, look_into(data)[0]), surface_of(written, "glb"), target)
    return written


def compared(
    source: Inventory, written: Path, facts: Mapping[str, Any], replaced: Collection[str] = ()
) -> dict[str, list[str]]:
    """`lost` and `ignored` of an answer: what the facts say already, and what the written file has not of its source.

    Args:
        source: what the mesh that it was made of has.
        written: a sound GLB file, or an OBJ, PLY or STL file as we write them.
        facts: `lost`, and as `ignored` the notes of the source's reader, if there are any.
        replaced: kinds that were replaced on purpose (see `mesh.losses`), which the facts tell themselves.
    """
    from ..mesh.inventory import inventory
    from ..mesh.losses import missing, unread

    made = inventory(written)
    return {
        "lost": list(dict.fromkeys([*facts.get("lost", ()), *missing(source, made, replaced)])),
        "ignored": unread(source, made, facts.get("ignored", ()), replaced),
    }


def finish_mesh(
    adapter: BaseModel,
    response: dict[str, Any],
    info_key: str,
    facts: Mapping[str, Any],
    extra_files: Sequence[Path] = (),
    scene: Any = None,
    source: Inventory | None = None,
    replaced: Collection[str] = (),
    counted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Load the written mesh again, count it, draw it, and complete the answer.

    Args:
        adapter: whose request it is; its progress becomes 1.
        response: the answer so far; `output_mesh_path` is the written file.
        info_key: `generation_info`, `painting_info` or the like.
        facts: what the adapter says under that key, beside what is there already; they stand against the counts.
        extra_files: files that belong to the mesh (OBJ: materials and textures).
        scene: what is in the file, as `read_scene` gives it, where that was read already.
        source: what the mesh that it was made of has, if there is one. What is not in the file is added to `lost` and
            `ignored` of the facts.
        replaced: kinds of it that were replaced on purpose (see `mesh.losses`), which the facts tell themselves.

        counted: `scene_statistics` of `scene`, where they are known already.

    Returns:
        The response. Under `info_key` it has the facts, `output_format`, `vertex_count`, `face_count` and `statistics`
        (see `mesh_result.scene_statistics`); besides, `thumbnail_path`, and `extra_paths` if there are such files.

    Raises:
        BrokenOutput: the file cannot be loaded again, or is empty.
    """
    from ..mesh.result import describe_mesh

    target = Path(response["output_mesh_path"])
    if source is not None:
        facts = {**facts, **compared(source, target, facts, replaced)}
    described = describe_mesh(target, adapter.output_dir, scene, counted)
    statistics = described["statistics"]
    response[info_key] = {
        **response.get(info_key, {}),
        "vertex_count": statistics["vertices"],
        "face_count": statistics["faces"],
        "output_format": target.suffix.lower().removeprefix("."),
        **facts,
        "statistics": statistics,
    }
    response["thumbnail_path"] = described["thumbnail_path"]
    if extra_files:
        response["extra_paths"] = [str(each) for each in extra_files]
    adapter.report_progress(1.0, "done")
    return response
