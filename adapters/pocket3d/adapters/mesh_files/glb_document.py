"""What is read of a glTF 2.0 document, typed; everything else is left out unread."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

Index = Annotated[int, Meta(ge=0, lt=2**31)]
Size = Annotated[int, Meta(ge=0, lt=2**40)]
Name = Annotated[str, Meta(max_length=1024)]


class Buffer(Struct):
    """Bytes: the binary chunk, or a data address."""

    byteLength: Size
    uri: str | None = None


class BufferView(Struct):
    """A range of a buffer."""

    buffer: Index
    byteLength: Size
    byteOffset: Size = 0
    byteStride: Annotated[int, Meta(ge=1, le=252)] | None = None


class Accessor(Struct):
    """A typed array in a buffer view."""

    count: Size
    componentType: int
    type: str
    bufferView: Index | None = None
    byteOffset: Size = 0
    sparse: Any = None


class Primitive(Struct):
    """Triangles with one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: int = 4
    extensions: dict[str, Any] = field(default_factory=dict)


class Mesh(Struct):
    """Some primitives."""

    primitives: list[Primitive]
    name: Name | None = None


class Node(Struct):
    """A place in the tree."""

    name: Name | None = None
    children: list[Index] = field(default_factory=list)
    mesh: Index | None = None
    matrix: list[float] | None = None
    translation: list[float] | None = None
    rotation: list[float] | None = None
    scale: list[float] | None = None


class Scene(Struct):
    """Root nodes."""

    nodes: list[Index] = field(default_factory=list)


class Image(Struct):
    """An encoded picture."""

    uri: str | None = None
    bufferView: Index | None = None


class Texture(Struct):
    """A use of an image."""

    source: Index | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


class Document(Struct):
    """The file's JSON."""

    buffers: list[Buffer] = field(default_factory=list)
    bufferViews: list[BufferView] = field(default_factory=list)
    accessors: list[Accessor] = field(default_factory=list)
    meshes: list[Mesh] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    scene: Index | None = None
    images: list[Image] = field(default_factory=list)
    textures: list[Texture] = field(default_factory=list)
    materials: list[dict[str, Any]] = field(default_factory=list)
    extensionsRequired: list[str] = field(default_factory=list)
