"""The parts of a glTF 2.0 document that are read, typed; everything else is left out unread."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

Index = Annotated[int, Meta(ge=0, lt=2**31)]
Size = Annotated[int, Meta(ge=0, lt=2**40)]
Name = Annotated[str, Meta(max_length=1024)]
Pair = tuple[float, float]
Colour = Annotated[list[float], Meta(min_length=3, max_length=4)]


class Buffer(Struct):
    """Bytes, in the binary chunk or at a data address."""

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
    normalized: bool = False
    sparse: Any = None


class Primitive(Struct):
    """Triangles with one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: int = 4
    targets: Any = None
    extensions: dict[str, Any] = field(default_factory=dict)


class Mesh(Struct):
    """Primitives that are shown together."""

    primitives: list[Primitive]
    name: Name | None = None
    #: Of its morph targets; judged where they are used.
    weights: Any = None


class Node(Struct):
    """A place in the tree."""

    name: Name | None = None
    children: list[Index] = field(default_factory=list)
    mesh: Index | None = None
    skin: Index | None = None
    weights: Any = None
    matrix: list[float] | None = None
    translation: list[float] | None = None
    rotation: list[float] | None = None
    scale: list[float] | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


class Skin(Struct):
    """The joints that hold a mesh."""

    joints: Annotated[list[Index], Meta(max_length=65_536)]
    inverseBindMatrices: Index | None = None


class Scene(Struct):
    """The root nodes of what is shown."""

    nodes: list[Index] = field(default_factory=list)


class Image(Struct):
    """An encoded picture."""

    uri: str | None = None
    bufferView: Index | None = None


class Texture(Struct):
    """A use of an image."""

    source: Index | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


class TextureTransform(Struct):
    """The place of a texture on the surface, of the extension KHR_texture_transform."""

    offset: Pair = (0.0, 0.0)
    rotation: float = 0.0
    scale: Pair = (1.0, 1.0)
    texCoord: Index | None = None


class _TextureExtensions(Struct):
    KHR_texture_transform: TextureTransform | None = None


class TextureInfo(Struct, omit_defaults=True):
    """A material's use of a texture."""

    index: Index
    texCoord: Index = 0
    #: Of normals.
    scale: float | None = None
    #: Of occlusion.
    strength: float | None = None
    extensions: _TextureExtensions | None = None


class MetallicRoughness(Struct, omit_defaults=True):
    """A surface in the metallic-roughness model."""

    baseColorFactor: Colour | None = None
    baseColorTexture: TextureInfo | None = None
    metallicFactor: float | None = None
    roughnessFactor: float | None = None
    metallicRoughnessTexture: TextureInfo | None = None


class Material(Struct, omit_defaults=True):
    """The look of triangles."""

    name: Name | None = None
    pbrMetallicRoughness: MetallicRoughness | None = None
    normalTexture: TextureInfo | None = None
    occlusionTexture: TextureInfo | None = None
    emissiveTexture: TextureInfo | None = None
    emissiveFactor: Colour | None = None
    alphaMode: Name | None = None
    alphaCutoff: float | None = None
    doubleSided: bool | None = None


class Document(Struct):
    """The JSON of a file."""

    buffers: list[Buffer] = field(default_factory=list)
    bufferViews: list[BufferView] = field(default_factory=list)
    accessors: list[Accessor] = field(default_factory=list)
    meshes: list[Mesh] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    scene: Index | None = None
    images: list[Image] = field(default_factory=list)
    textures: list[Texture] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    skins: list[Skin] = field(default_factory=list)
    extensionsRequired: list[str] = field(default_factory=list)
