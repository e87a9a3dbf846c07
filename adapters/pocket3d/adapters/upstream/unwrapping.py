"""The bound on what is unwrapped for a texture."""

from __future__ import annotations

from ..errors import InvalidInput

#: Triangles that are unwrapped for a texture, at most: the default of the setting `max_paint_faces`. xatlas takes 30
#: to 60 minutes of one core above 400,000 (Tencent-Hunyuan/Hunyuan3D-2, issue 170), and does not listen to a cancel.
MAX_PAINT_FACES = 200_000


def require_paintable(faces: int, most: int) -> None:
    """Refuse a given mesh of more triangles than the setting `max_paint_faces` allows.

    Raises:
        InvalidInput: see there.
    """
    if faces > most:
        raise InvalidInput(
            f"the mesh has {faces:,} triangles, and this adapter unwraps at most {most:,} for a texture"
            " (max_paint_faces in its config): reduce the mesh first",
            "mesh_path",
        )
