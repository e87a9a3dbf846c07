"""`partfield-segmentation`: parts of a mesh from PartField's learned features and a clustering of its faces.

PartField's network gives each face a feature of 448 numbers; faces that belong together lie close. The features are
computed by upstream's own `Model.predict_step`, on the one device of this worker (upstream's script takes every GPU of
the host), with weights that are loaded once. Clustering is agglomerative over the face graph, or k-means, as upstream
offers; parts are counted in the result.

What ran for real: the upstream code at the recipe's commit, on a CPU, with random weights of the full size. Not run
here: the published weights, a GPU, half precision.

A cancel is noticed between steps and between the blocks of sampled points; the fit of the clustering (scikit-learn)
does not listen, so the worker may have to be ended.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

from ..errors import AdapterUnavailable, InvalidInput
from ..input_checks import whole_number
from ..licenses import License
from ..segment_models import MeshSegmentationModel
from ..upstream_needs import what_is_missing

METHODS = ("agglomerative", "kmeans")
BRIDGES = ("faces", "components")
_POINTS_PER_FACE = (1, 2000)
_DEFAULT_POINTS_PER_FACE = 1000
_MAX_PARTS = 1000
_MAX_SEED = 2**32 - 1
#: Features of one face take 1.8 kB; the clustering needs several times that.
_MAX_FACES = 500_000
#: What upstream's modules import as soon as they are imported, and what this adapter adds.
_NEEDED = (
    "torch",
    "lightning",
    "torch_scatter",
    "boto3",
    "h5py",
    "skimage",
    "mesh2sdf",
    "tetgen",
    "vtk",
    "pymeshlab",
    "plyfile",
    "loguru",
    "psutil",
    "einops",
    "yacs",
    "pytz",
    "numpy",
    "scipy",
    "sklearn",
    "trimesh",
)


class PartFieldSegmentationAdapter(MeshSegmentationModel):
    """Segments a mesh into the wanted number of parts.

    Args:
        model_id: its name.
        model_path: the checkpoint `model_objaverse.ckpt`; by default `model/model_objaverse.ckpt` in the checkout,
            where upstream's README puts it.
        vram_requirement: MB; 4096 is what the former system measured on an RTX 4090.
        partfield_root: the checkout of https://github.com/nv-tlabs/PartField.
        max_concurrent: only 1, since upstream writes below the process's folder.
        trust_checkpoint: read a checkpoint even if it holds Python objects other than tensors and settings, which can
            run any code. For files of your own.
        feature_type: `mesh_segmentation`.

    Raises:
        ValueError: `max_concurrent` above 1.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)
    license_info: ClassVar[License | None] = License(
        code="NVIDIA License (non-commercial)",
        weights="NVIDIA License (non-commercial)",
        commercial_use=False,
        url="https://github.com/nv-tlabs/PartField/blob/main/LICENSE",
        requires_acceptance=True,
    )

    def __init__(
        self,
        model_id: str = "partfield-segmentation",
        model_path: str | Path | None = None,
        vram_requirement: int = 4096,
        partfield_root: str | Path | None = None,
        max_concurrent: int = 1,
        trust_checkpoint: bool = False,
        feature_type: str | None = None,
    ) -> None:
        if max_concurrent > 1:
            raise ValueError("PartField takes one mesh at a time: upstream writes below the process's folder")
        super().__init__(
            model_id,
            model_path,
            vram_requirement,
            feature_type,
            max_concurrent=max_concurrent,
        )
        self.partfield_root = Path(partfield_root) if partfield_root is not None else None
        self.trust_checkpoint = trust_checkpoint
        self._one_at_a_time = threading.Lock()
        self._last_features: tuple[str, Any] | None = None

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root = self.partfield_root
        code = None if root is None else root / "partfield" / "model_trainer_pvcnn_only_demo.py"
        return what_is_missing(
            self.registered_id or "partfield-segmentation",
            _NEEDED,
            {
                "PartField's code": ("partfield_root", code),
                "its settings": ("partfield_root", None if root is None else root / "configs" / "final" / "demo.yaml"),
                "its weights": ("model_path", self._checkpoint()),
            },
        )

    def get_parameter_schema(self) -> dict[str, Any]:
        """Its options."""
        return {
            "type": "object",
            "properties": {
                "mesh_path": {"description": f"the mesh: {', '.join(self.supported_input_formats)}"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "num_parts": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MAX_PARTS,
                    "default": 8,
                    "description": "how many parts to make",
                },
                "method": {
                    "type": "string",
                    "enum": list(METHODS),
                    "default": METHODS[0],
                    "description": "agglomerative: parts are connected in the face graph; kmeans: by features alone",
                },
                "bridge": {
                    "type": "string",
                    "enum": list(BRIDGES),
                    "default": BRIDGES[0],
                    "description": "agglomerative, for meshes of several pieces: how these are joined to one graph; by"
                    " their nearest faces, or by the faces at their centres",
                },
                "points_per_face": {
                    "type": "integer",
                    "minimum": _POINTS_PER_FACE[0],
                    "maximum": _POINTS_PER_FACE[1],
                    "default": _DEFAULT_POINTS_PER_FACE,
                    "description": "points on each face over which the feature is averaged; fewer are faster",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": 0,
                    "description": "of the sampled points, and of k-means",
                },
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The mesh's name and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _choice(inputs, "method", METHODS)
        _choice(inputs, "bridge", BRIDGES)
        _points_per_face(inputs)
        _seed(inputs)

    def _load_model(self) -> Any:
        from .upstream import load

        missing = self.check_available()
        if missing is not None or self.partfield_root is None:
            raise AdapterUnavailable(missing or "partfield_root is not set")
        return load(self.partfield_root, self._checkpoint(), self.device, trusted=self.trust_checkpoint)

    def _unload_model(self) -> None:
        self.model = None
        self._last_features = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import MeshLimits, read_mesh
        from ..mesh_result import describe_mesh
        from ..part_files import write_parts
        from .clustering import cluster_faces

        response: dict[str, Any] = super()._process_request(inputs)
        wanted = self._num_parts(inputs)
        method, bridge = _choice(inputs, "method", METHODS), _choice(inputs, "bridge", BRIDGES)
        points, seed = _points_per_face(inputs), _seed(inputs)

        self._step(0.0, "reading the mesh")
        mesh = read_mesh(self._mesh_path(inputs), MeshLimits(max_faces=_MAX_FACES))
        if len(mesh.faces) < wanted:
            raise InvalidInput(f"{wanted} parts of a mesh of {len(mesh.faces)} faces", "num_parts")
        with self._one_at_a_time:
            features, reused = self._features(mesh, points, seed)
        self._step(0.7, "clustering")
        labels = cluster_faces(mesh, features, wanted, method=method, bridge=bridge, seed=seed)
        self._step(0.9, "writing the parts")
        target = Path(response["output_mesh_path"])
        written = write_parts(mesh, labels, target)
        described = describe_mesh(target, self.output_dir)
        facts = {
            "num_parts": len(written.parts),
            "requested_parts": wanted,
            "parts": written.parts,
            "method": method,
            **({"bridge": bridge} if method == "agglomerative" else {}),
            "success": True,
        }
        response.update(
            num_parts=len(written.parts),
            labels_path=str(written.labels),
            segmentation_info_path=str(written.write_info(facts)),
            segmentation_info=facts,
            thumbnail_path=described["thumbnail_path"],
            seed=seed,
            generation_info={
                "model": "PartField",
                "statistics": described["statistics"],
                "input_faces": len(mesh.faces),
                "points_per_face": points,
                "features_reused": reused,
                "seed": seed,
                "device": self.device,
                "output_format": target.suffix[1:],
            },
        )
        self.report_progress(1.0, "done")
        return response

    def _features(self, mesh: Any, points: int, seed: int) -> tuple[Any, bool]:
        """Features of all faces, (F, C) float32, and whether they are those of the request before: asking the same
        mesh for another number of parts costs the clustering only.
        """
        from .upstream import fingerprint, predict

        key = fingerprint(mesh, points, seed)
        if self._last_features is not None and self._last_features[0] == key:
            return self._last_features[1], True
        features = predict(
            self.model,
            mesh,
            device=self.device,
            points_per_face=points,
            seed=seed,
            folder=self.output_dir,
            step=lambda fraction, stage: self._step(0.05 + 0.65 * fraction, stage),
        )
        self._last_features = (key, features)
        return features, False

    def _step(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)

    def _checkpoint(self) -> Path | None:
        if self.model_path is not None:
            return Path(self.model_path)
        return None if self.partfield_root is None else self.partfield_root / "model" / "model_objaverse.ckpt"


def _choice(inputs: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """One of the choices, the first by default."""
    value = inputs.get(key)
    if value is None:
        return choices[0]
    if value not in choices:
        raise InvalidInput(f"{key} is {value!r}; want one of {', '.join(choices)}", key)
    return str(value)


def _points_per_face(inputs: dict[str, Any]) -> int:
    return whole_number(inputs, "points_per_face", _DEFAULT_POINTS_PER_FACE, *_POINTS_PER_FACE)


def _seed(inputs: dict[str, Any]) -> int:
    return whole_number(inputs, "seed", 0, 0, _MAX_SEED)
