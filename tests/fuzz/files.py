"""Meshes and images of strangers through adapters' readers: sound, or the producer's fault, within a bound."""

from __future__ import annotations

import random
import tempfile
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from pocket3d.adapters.errors import InvalidInput
from support import mesh_files

from . import values

_WORDS = (
    b"usemtl a\n",
    b"9" * 5000 + b" 0 1 2\n",
    b"mtllib x.mtl\n",
    b"f -1 -2 -3\n",
    b"f 1/2/3 4//5 6\n",
    b"o K\xf6rper\n",
    b"v nan inf 1e400\n",
)


def _glb(dice: random.Random) -> bytes:
    document = mesh_files.gltf_document()
    for _ in range(dice.randrange(3)):
        _replace(document, dice)
    return mesh_files.glb(values.as_json(document, dice))


def _replace(value: Any, dice: random.Random) -> None:
    """Put anything in the place of one part of a document."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = dice.choice(keys)
        if isinstance(value[key], (dict, list)) and value[key] and dice.random() < 0.7:
            value = value[key]
            continue
        value[key] = values.anything(dice, 2)
        return


def _text(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    for _ in range(dice.randrange(3)):
        lines.insert(dice.randrange(len(lines) + 1), dice.choice(_WORDS))
    return b"".join(lines)


def mesh(dice: random.Random) -> None:
    """One mesh file."""
    import numpy as np

    from pocket3d.adapters.mesh.input import read_mesh

    suffix, data = dice.choice(
        (
            ("glb", _glb(dice)),
            ("obj", _text(mesh_files.obj(), dice)),
            ("ply", mesh_files.ply(binary=dice.random() < 0.5)),
            ("stl", mesh_files.stl() if dice.random() < 0.5 else _text(mesh_files.text_stl(), dice)),
            ("off", _text(mesh_files.off(), dice)),
        )
    )
    if dice.random() < 0.8:
        data = values.spoilt(data, dice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / dice.choice((f"a.{suffix}", f"CUDA out of memory.{suffix}"))
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = read_mesh(path)
            except InvalidInput:
                return
    assert len(found.faces) and np.isfinite(found.vertices).all()
    assert found.faces.min() >= 0 and found.faces.max() < len(found.vertices)


def copy(dice: random.Random) -> None:
    """A document with more in it than is read, some of it broken: what was read can be written once more."""
    import numpy as np

    from pocket3d.adapters.mesh.glb_copy import placed_copy
    from pocket3d.adapters.mesh.glb_merged import merged_copy
    from pocket3d.adapters.mesh.gltf_files import write_gltf
    from pocket3d.adapters.mesh.input import glb_bytes_of, read_scene
    from pocket3d.adapters.mesh.inventory import inventory
    from pocket3d.adapters.mesh.losses import missing, unread
    from support.full_glb import full

    made = full()
    for _ in range(dice.randrange(1, 3)):
        _replace(made.document, dice)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, target = Path(folder) / "a.glb", Path(folder) / "b.glb"
        path.write_bytes(mesh_files.glb(values.as_json(made.document, dice), made.binary))
        try:
            scene = read_scene(path)
        except InvalidInput:
            return
        held, data = inventory(path, scene), glb_bytes_of(path)
        merged = merged_copy(data)
        for copied in (placed_copy(data, np.eye(4)), placed_copy(data, np.diag([2.0, 2, 2, 1])), merged and merged[0]):
            if copied is None:
                continue
            target.write_bytes(copied)
            assert len(read_scene(target).geometry) == len(scene.geometry)
            written = inventory(target)
            missing(held, written)
            unread(held, written, [])
            write_gltf(copied, Path(folder) / "b.gltf")


def archive(dice: random.Random) -> None:
    """A zip with a mesh in it, or a 3MF."""
    from pocket3d.adapters.mesh.input import read_scene

    buffer = BytesIO()
    method = dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    corners = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in mesh_files.VERTICES)
    faces = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in mesh_files.FACES)
    core = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
    model = (
        f'<model xmlns="{core}"><resources><object id="1"><mesh><vertices>{corners}</vertices>'
        f'<triangles>{faces}</triangles></mesh></object></resources><build><item objectid="1"/></build></model>'
    ).encode()
    if dice.random() < 0.5:
        model = values.spoilt(model, dice)
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in dice.choice(
            ((("a.obj", mesh_files.obj()), ("\xe4.png", b"x")), (("3D/3dmodel.model", model),))
        ):
            file.writestr(name, data)
    data = buffer.getvalue()
    if dice.random() < 0.7:
        data = values.spoilt(data, dice)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / dice.choice(("a.zip", "a.3mf"))
        path.write_bytes(data)
        try:
            read_scene(path)
        except InvalidInput:
            return


def image(dice: random.Random) -> None:
    """One picture."""
    from PIL import Image

    from pocket3d.adapters.mesh.image_input import read_image

    mode = dice.choice(("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"))
    form = dice.choice(("PNG", "JPEG", "WEBP"))
    picture = Image.new(
        mode, (dice.randrange(1, 9), dice.randrange(1, 9)), dice.choice((0, 1, 200)) if mode != "P" else 0
    )
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    written = BytesIO()
    try:
        picture.save(written, form, exif=exif)
    except (OSError, ValueError, KeyError):
        # Not every form has every mode.
        picture.convert("RGB").save(written, form, exif=exif)
    data = written.getvalue()
    if dice.random() < 0.9:
        data = values.spoilt(data, dice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = read_image(path)
            except InvalidInput:
                return
    assert found.mode in ("RGB", "RGBA") and found.size[0] * found.size[1] > 0
