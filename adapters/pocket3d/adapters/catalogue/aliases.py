"""Other names of our adapters: class paths of the guide, and class paths and ids of the system that came before.

Data and pure functions: nothing here imports an adapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pocket3d.contracts.adapter_ids import FORMER_IDS

from .builtin import BUILTIN_ADAPTERS


class Alias(NamedTuple):
    """The adapter that another name stands for."""

    #: Of our adapter.
    adapter_id: str
    #: Constructor arguments that the name implies; what is given beside it wins.
    config: dict[str, Any] = {}


_RAW = {"texture": False}
_TEXTURED = {"texture": True}
#: Arguments that a former id implies beside the adapter that it stands for.
_IMPLIED: dict[str, dict[str, Any]] = {
    f"{family}_image_to_{kind}_mesh": config
    for family in ("hunyuan3d_2_0", "hunyuan3d", "hunyuan3dv21")
    for kind, config in (("raw", _RAW), ("textured", _TEXTURED))
}

ID_ALIASES: dict[str, Alias] = {former: Alias(ours, _IMPLIED.get(former, {})) for former, ours in FORMER_IDS.items()}

_CLASSES: dict[str, Alias] = {
    # The guide's, one module for each family.
    "trellis_adapter.TrellisTextToMeshAdapter": Alias("trellis-text-to-mesh"),
    "trellis_adapter.TrellisImageToMeshAdapter": Alias("trellis-image-to-mesh"),
    "hunyuan3d_adapter.Hunyuan3DTextToMeshAdapter": Alias("hunyuan3d-text-to-mesh"),
    "hunyuan3d_adapter.Hunyuan3DImageToMeshAdapter": Alias("hunyuan3d-image-to-mesh"),
    "unirig_adapter.UniRigAdapter": Alias("unirig-auto-rigging"),
    "partfield_adapter.PartFieldSegmentationAdapter": Alias("partfield-segmentation"),
    # The former system's.
    "trellis_adapter.TrellisTextToTexturedMeshAdapter": Alias("trellis-text-to-mesh"),
    "trellis_adapter.TrellisImageToTexturedMeshAdapter": Alias("trellis-image-to-mesh"),
    "trellis_adapter.TrellisTextMeshPaintingAdapter": Alias("trellis-text-painting"),
    "trellis_adapter.TrellisImageMeshPaintingAdapter": Alias("trellis-image-painting"),
    "hunyuan3d_adapter_v20.Hunyuan3DV20ImageToRawMeshAdapter": Alias("hunyuan3d-image-to-mesh", _RAW),
    "hunyuan3d_adapter_v20.Hunyuan3DV20ImageToTexturedMeshAdapter": Alias("hunyuan3d-image-to-mesh", _TEXTURED),
    "hunyuan3d_adapter_v20.Hunyuan3DV20ImageMeshPaintingAdapter": Alias("hunyuan3d-painting"),
    "hunyuan3d_adapter_v21.Hunyuan3DV21ImageToRawMeshAdapter": Alias("hunyuan3d-2.1-image-to-mesh", _RAW),
    "hunyuan3d_adapter_v21.Hunyuan3DV21ImageToTexturedMeshAdapter": Alias("hunyuan3d-2.1-image-to-mesh", _TEXTURED),
    "hunyuan3d_adapter_v21.Hunyuan3DV21ImageMeshPaintingAdapter": Alias("hunyuan3d-2.1-painting"),
}
CLASS_ALIASES = {f"adapters.{path}": alias for path, alias in _CLASSES.items()}


class Target(NamedTuple):
    """A class of ours, and the arguments that the name used for it implies."""

    class_path: str
    config: dict[str, Any]


def of_id(adapter_id: str) -> Target | None:
    """What an adapter's id means where nothing else is said: a built-in one, or another name of one."""
    return _target(ID_ALIASES.get(adapter_id, Alias(adapter_id)))


def of_class(class_path: str, folders: Iterable[str] = ()) -> Target | None:
    """What a class path stands for; None for one that is no alias, or whose module lies in one of `folders`: a file
    that somebody put there is meant.
    """
    alias = CLASS_ALIASES.get(class_path)
    if alias is None:
        return None
    module = Path(*class_path.split(".")[:-1]).with_suffix(".py")
    if any((Path(folder) / module).is_file() for folder in folders):
        return None
    return _target(alias)


def _target(alias: Alias) -> Target | None:
    paths = {each.adapter_id: each.class_path for each in BUILTIN_ADAPTERS}
    path = paths.get(alias.adapter_id)
    return None if path is None else Target(path, dict(alias.config))
