"""Files and inputs with which an adapter is tried: made here, the same every time; needs what workers need."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket3d.contracts.features import required_inputs
from pocket3d.contracts.jobs import is_file_key

from ..mesh.read.glb_container import pack

PROMPT = "a red chair with four legs"
SEED = 7
_PIXELS = 256
_RINGS = 48
_SEGMENTS = 32
_GAUSSIANS = 500


def write_sample_mesh(path: Path) -> Path:
    """A dumbbell as GLB: one closed body of 1,506 vertices and 3,008 triangles with three parts, 2 long, Y up.

    A surface of revolution about X whose profile is two balls and the bar between them; wound counter-clockwise.
    """
    points: list[tuple[float, float, float]] = [(-1.0, 0.0, 0.0)]
    for ring in range(1, _RINGS):
        x = -math.cos(math.pi * ring / _RINGS)
        ball = math.sqrt(max(0.0, 0.16 - (abs(x) - 0.6) ** 2))
        radius = max(ball, 0.1 if abs(x) < 0.9 else 0.0)
        for segment in range(_SEGMENTS):
            angle = 2 * math.pi * segment / _SEGMENTS
            points.append((x, radius * math.cos(angle), radius * math.sin(angle)))
    points.append((1.0, 0.0, 0.0))
    last = len(points) - 1
    triangles: list[tuple[int, int, int]] = []
    for segment in range(_SEGMENTS):
        after = (segment + 1) % _SEGMENTS
        triangles.append((0, 1 + after, 1 + segment))
        for ring in range(_RINGS - 2):
            a, b = 1 + ring * _SEGMENTS + segment, 1 + ring * _SEGMENTS + after
            triangles += [(a, b, a + _SEGMENTS), (b, b + _SEGMENTS, a + _SEGMENTS)]
        end = 1 + (_RINGS - 2) * _SEGMENTS
        triangles.append((last, end + segment, end + after))
    path.write_bytes(_glb(points, triangles))
    return path


def _glb(points: list[tuple[float, float, float]], triangles: list[tuple[int, int, int]]) -> bytes:
    """One indexed mesh in the binary container of glTF 2.0 (Khronos, section 4)."""
    places = b"".join(struct.pack("<3f", *point) for point in points)
    # As the file's floats say them: the validator compares exactly.
    written = list(struct.iter_unpack("<3f", places))
    indices = b"".join(struct.pack("<3H", *triangle) for triangle in triangles)
    head = {
        "asset": {"version": "2.0", "generator": "pocket3d check"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "dumbbell"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(points),
                "type": "VEC3",
                "min": list(map(min, zip(*written, strict=True))),
                "max": list(map(max, zip(*written, strict=True))),
            },
            {"bufferView": 1, "componentType": 5123, "count": 3 * len(triangles), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(places), "target": 34962},
            {"buffer": 0, "byteOffset": len(places), "byteLength": len(indices), "target": 34963},
        ],
        "buffers": [{"byteLength": len(places) + len(indices)}],
    }
    return pack(head, places + indices)


def write_sample_splat(path: Path) -> Path:
    """A red ball of 500 Gaussians of radius 1 as PLY; see `splat.files` for the format."""
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    names += [f"scale_{axis}" for axis in range(3)] + [f"rot_{part}" for part in range(4)]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {_GAUSSIANS}"]
    lines += [*(f"property float {name}" for name in names), "end_header"]
    rows = b""
    for number in range(_GAUSSIANS):
        # Points of a spiral from pole to pole, evenly far from each other (Vogel 1979).
        y = 1 - (2 * number + 1) / _GAUSSIANS
        ring, angle = math.sqrt(1 - y * y), number * math.pi * (3 - math.sqrt(5))
        place = (ring * math.cos(angle), y, ring * math.sin(angle))
        rows += struct.pack("<14f", *place, 1.5, -1.2, -1.2, 4.0, *[math.log(0.06)] * 3, 1.0, 0.0, 0.0, 0.0)
    path.write_bytes("\n".join(lines).encode() + b"\n" + rows)
    return path


def write_sample_image(path: Path) -> Path:
    """A shaded ball on a grey wall as PNG, 256 x 256, 8-bit RGB, opaque, with a little noise as photographs have."""
    noise = 1
    rows = bytearray()
    for y in range(_PIXELS):
        rows.append(0)
        for x in range(_PIXELS):
            # Park and Miller's generator (1988): the same grain on every machine.
            noise = noise * 48271 % 0x7FFFFFFF
            grain = noise % 9 - 4
            u, v = (x - 128) / 80, (y - 132) / 80
            inside = u * u + v * v
            if inside < 1:
                light = max(0.0, -0.5 * u - 0.6 * v + 0.62 * math.sqrt(1 - inside))
                colour = [40 + 190 * light, 25 + 60 * light, 20 + 40 * light]
            else:
                shade = 205 - 30 * y / _PIXELS
                colour = [shade, shade, shade + 6]
            rows += bytes(min(255, max(0, round(channel + grain))) for channel in colour)
    header = struct.pack(">IIBBBBB", _PIXELS, _PIXELS, 8, 2, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b"")):
        image += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(image)
    return path


def sample_inputs(
    feature: str, schema: Mapping[str, Any] | None, folder: Path, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Inputs that a well-behaved adapter of this feature takes: what is required, and a seed where there is one.

    `schema` has the adapter's parameters. What is `given` stands as it is; one that is None is left out.
    """
    given = given or {}
    properties: Mapping[str, Any] = (schema or {}).get("properties", {})
    alternatives = [group for group in required_inputs(feature) if not any(key in given for key in group)]
    wanted = [group[0] for group in alternatives]
    wanted += [key for key in (schema or {}).get("required", ()) if key not in wanted]
    inputs = {key: _sample(key, properties.get(key), folder) for key in wanted if key not in given}
    if "seed" in properties:
        inputs.setdefault("seed", SEED)
    inputs.update(given)
    return {key: value for key, value in inputs.items() if value is not None}


def _sample(key: str, facts: Any, folder: Path) -> Any:
    facts = facts if isinstance(facts, dict) else {}
    if is_file_key(key):
        write, name = (write_sample_image, "ball.png") if "image" in key else (write_sample_mesh, "dumbbell.glb")
        file = str(write(folder / name))
        return [file] if key.endswith("_paths") else file
    if key == "text_prompt":
        return PROMPT
    for said in ("examples", "enum"):
        if facts.get(said):
            return facts[said][0]
    if "default" in facts:
        return facts["default"]
    if key == "output_format":
        return "glb"
    kind = facts.get("type")
    if kind in ("integer", "number"):
        return facts.get("minimum", 1)
    return {"boolean": False, "array": [], "object": {}}.get(str(kind), "sample")


def spoiled_inputs(
    feature: str, schema: Mapping[str, Any] | None, inputs: Mapping[str, Any]
) -> tuple[dict[str, Any], str] | None:
    """The inputs without something required, and what is wrong with them; None if nothing is required."""
    required = set((schema or {}).get("required", ()))
    for group in (*required_inputs(feature), *((key,) for key in sorted(required))):
        if any(key in inputs for key in group):
            return {key: value for key, value in inputs.items() if key not in group}, f"without {' and '.join(group)}"
    return None
