"""Converts the `models.yaml` of the system that came before (3DAIGC-API and its fork) to ours.

Its form, feature by feature:

    image_to_raw_mesh:
      hunyuan3d_2_0_image_to_raw_mesh:
        vram_requirement: 5120
        supported_inputs: ["image"]
        supported_outputs: ["glb", "obj"]
        model_path: "thirdparty/Hunyuan3D-2"
        enabled: true
        max_workers: 1
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.contracts.features import canonical

from . import aliases
from .yaml_places import ModelsFileError, PlacedYaml, to_text

__all__ = ["ModelsFileError", "convert_parent_models"]

#: The constructor argument that takes the folder of the upstream code, by the first word of our adapter's id.
_ROOTS = {
    "trellis": "trellis_root",
    "hunyuan3d": "hunyuan3d_root",
    "unirig": "unirig_root",
    "partfield": "partfield_root",
}
_KNOWN = {"vram_requirement", "supported_inputs", "supported_outputs", "model_path", "enabled", "max_workers"}
_RAW_OR_TEXTURED = ("image_to_raw_mesh", "image_to_textured_mesh")


def convert_parent_models(
    text: str, *, root: Path | None = None, file: Path = Path("models.yaml")
) -> tuple[str, list[str]]:
    """Our `models.yaml` for the same models. Adapters keep the ids that the old file gives them, so that clients which
    ask for one by `model_preference` go on working.

    Args:
        text: the old file.
        root: folder to which the old file's relative paths are relative (that of the old system); None leaves them.
        file: its name, for messages.

    Returns:
        The new file's text, and what a person should know: what was left out and why, and what to look at.

    Raises:
        ModelsFileError: not YAML, or not of the old form.
    """
    return _Converter(PlacedYaml(file, text), root).converted()


class _Converter:
    def __init__(self, source: PlacedYaml, root: Path | None) -> None:
        self._source = source
        self._root = root
        self._adapters: dict[str, Any] = {}
        self._preferred: dict[str, list[str]] = {}
        self._notes: list[str] = []
        self._relative = False

    def converted(self) -> tuple[str, list[str]]:
        features, error = self._source.data, self._source.error
        if not isinstance(features, dict) or not features:
            raise error((), "want features with their models, as the former system's config/models.yaml has")
        if "adapters" in features:
            raise error(("adapters",), "the file has the present form already")
        for feature, models in features.items():
            if not isinstance(models, dict):
                raise error((str(feature),), f"want models with their settings, got {type(models).__name__}")
            for model_id, settings in models.items():
                if not isinstance(settings, dict):
                    raise error((str(feature), str(model_id)), "want settings, such as vram_requirement")
                self._model(str(feature), str(model_id), settings)
        self._general(features)
        deployment = {"deployment": {"preferred_adapters": self._preferred}} if self._preferred else {}
        return to_text({"adapters": self._adapters, **deployment}), self._notes

    def _model(self, feature: str, model_id: str, settings: dict[str, Any]) -> None:
        target = aliases.of_id(model_id)
        if settings.get("enabled") is False:
            self._notes.append(f"{model_id}: left out, it was not enabled")
            return
        if target is None:
            self._notes.append(f"{model_id}: left out, no adapter here runs that model ({feature})")
            return
        config = {**target.config}
        if "vram_requirement" in settings:
            config["vram_requirement"] = settings["vram_requirement"]
        config.update(self._folder(model_id, settings.get("model_path")))
        workers = settings.get("max_workers")
        if isinstance(workers, int) and workers > 1:
            self._notes.append(f"{model_id}: max_workers {workers} is not needed, as many run as devices have room for")
        for name in sorted(set(settings) - _KNOWN, key=str):
            self._notes.append(f"{model_id}: {name} was not taken over: {settings[name]!r}")
        self._adapters[model_id] = {"class": target.class_path, "config": config}
        self._preferred.setdefault(canonical(feature), []).append(model_id)

    def _folder(self, model_id: str, given: Any) -> dict[str, str]:
        """`model_path`, which named the upstream code as a rule and weights at times, as an argument of our adapter."""
        if not isinstance(given, str) or not given:
            return {}
        ours = aliases.ID_ALIASES[model_id].adapter_id if model_id in aliases.ID_ALIASES else model_id
        if "2.1" in ours and Path(given).name == "Hunyuan3D-2":
            self._notes.append(f"{model_id}: model_path {given!r} was not taken over, that is the code of version 2.0")
            return {}
        argument = _ROOTS.get(ours.partition("-")[0]) if "thirdparty" in Path(given).parts else None
        try:
            path = Path(given).expanduser()
        except RuntimeError:
            self._notes.append(f"{model_id}: model_path {given!r} was not taken over, there is no such user")
            return {}
        if self._root is not None:
            path = self._root.absolute() / path
        self._relative |= not path.is_absolute()
        return {argument or "model_path": str(path)}

    def _general(self, features: dict[str, Any]) -> None:
        if any("model_path" in settings for models in features.values() for settings in models.values()):
            self._notes.append("the former system did not read model_path; look at the folders before you rely on them")
        if self._relative:
            self._notes.append("relative folders are still those of the former system: make them absolute")
        if all(feature in features for feature in _RAW_OR_TEXTURED):
            self._notes.append(
                f"{' and '.join(_RAW_OR_TEXTURED)} are one feature here, image_to_mesh: a job that wants one of them "
                "names its adapter in model_preference"
            )
        if self._adapters:
            self._notes.append(
                "each adapter needs an environment (`pocket3d adapters install`), and some a yes to their licence "
                "(`accept_license: true`): `pocket3d adapters` lists what is missing"
            )
