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

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from ...authoring.mesh_job import compared, finish_mesh
from ...authoring.options import MeshFile, Meta, Options, Seed
from ...catalogue.needs import what_is_missing
from ...errors import InvalidInput
from ...licenses import License
from ...segment_models import MeshSegmentationModel
from .. import card
from ..model import UpstreamConfig, UpstreamModel, folder

#: Features of one face take 1.8 kB; the clustering needs several times that.
_MAX_FACES = 500_000
#: What upstream's modules import as soon as they are imported, and what this adapter adds.
NEEDED = (
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


class PartFieldOptions(Options):
    """The options of `partfield-segmentation`."""

    mesh_path: MeshFile
    output_format: str = "glb"
    num_parts: Annotated[int, Meta(ge=1, le=1000, description="how many parts to make")] = 8
    method: Annotated[
        Literal["agglomerative", "kmeans"],
        Meta(description="agglomerative: parts are connected in the face graph; kmeans: by features alone"),
    ] = "agglomerative"
    bridge: Annotated[
        Literal["faces", "components"],
        Meta(
            description="agglomerative, for meshes of several pieces: how these are joined to one graph; by"
            " their nearest faces, or by the faces at their centres"
        ),
    ] = "faces"
    points_per_face: Annotated[
        int,
        Meta(
            ge=1,
            le=2000,
            description="points on each face over which the feature is averaged; fewer are faster, and a mesh of many"
            " faces has fewer (points_mb of the adapter's config): the answer says how many",
        ),
    ] = 1000
    seed: Annotated[Seed, Meta(description="of the sampled points, and of k-means")] = 0


class PartFieldConfig(UpstreamConfig):
    """The arguments of the adapter.

    `model_path` is the checkpoint `model_objaverse.ckpt`; by default `model/model_objaverse.ckpt` in the checkout,
    where upstream's README puts it.
    """

    #: The checkout of https://github.com/nv-tlabs/PartField.
    partfield_root: str | Path | None = None
    #: Read a checkpoint even if it holds Python objects other than tensors and settings, which can run any code. For
    #: files of your own.
    trust_checkpoint: bool = False

    #: MB of VRAM, of those required, for the points on all faces together. These are enough for upstream's 1000 points
    #: on 19,000 faces; at 40,000 it is 479, where upstream's README says to take 500.
    points_mb: int = 1024

    def __post_init__(self) -> None:
        if self.points_mb < 1:
            raise ValueError(f"points_mb {self.points_mb!r}: want 1 or more")
        if self.max_concurrent > 1:
            raise ValueError("PartField takes one mesh at a time: upstream writes below the process's folder")


class PartFieldSegmentationAdapter(UpstreamModel, MeshSegmentationModel):
    """Segments a mesh into the wanted number of parts. `PartFieldConfig` has the arguments."""

    adapter_id: ClassVar[str] = "partfield-segmentation"
    #: What the former system measured on an RTX 4090; upstream has no figure.
    default_vram_mb: ClassVar[int | None] = 4096
    options_type = PartFieldOptions
    config_type: ClassVar[type[UpstreamConfig]] = PartFieldConfig
    config: PartFieldConfig
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

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.partfield_root = folder(self.config.partfield_root)
        self._last_features: tuple[str, Any] | None = None

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root = self.partfield_root
        code = None if root is None else root / "partfield" / "model_trainer_pvcnn_only_demo.py"
        return what_is_missing(
            self.registered_id or self.adapter_id,
            NEEDED,
            {
                "PartField's code": ("partfield_root", code),
                "its settings": ("partfield_root", None if root is None else root / "configs" / "final" / "demo.yaml"),
                "its weights": ("model_path", self._checkpoint()),
            },
        )

    def _load_model(self) -> Any:
        from .upstream import load

        self.require_available()
        if self.require_card() is not None:
            card.require_cuda_builds(torch_scatter="_scatter_cuda")
        checkpoint = self._checkpoint()
        assert self.partfield_root is not None and checkpoint is not None, "checked by check_available"
        return load(self.partfield_root, checkpoint, self.device, trusted=self.config.trust_checkpoint)

    def _unload_model(self) -> None:
        self.model = None
        self._last_features = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.input import MeshLimits
        from ...mesh.part_files import PARTS, part_losses, write_parts
        from ..mesh_file import read_given
        from .clustering import cluster_faces
        from .upstream import fitting_points

        response: dict[str, Any] = super()._process_request(inputs)
        options = PartFieldOptions.read(inputs)
        wanted, method, bridge, seed = options.num_parts, options.method, options.bridge, options.seed
        self.step(0.0, "reading the mesh")
        given = read_given(self._mesh_path(inputs), MeshLimits(max_faces=_MAX_FACES))
        mesh = given.mesh
        if len(mesh.faces) < wanted:
            raise InvalidInput(f"{wanted} parts of a mesh of {len(mesh.faces)} faces", "num_parts")
        points = min(options.points_per_face, fitting_points(len(mesh.faces), self.config.points_mb))
        with self.turn():
            features, reused = self._features(mesh, points, seed)
        self.step(0.7, "clustering")
        labels = cluster_faces(mesh, features, wanted, method=method, bridge=bridge, seed=seed)
        self.step(0.9, "writing the parts")
        written = write_parts(mesh, labels, Path(response["output_mesh_path"]))
        told = {"lost": part_losses(given.scene), "ignored": given.notes()}
        told = compared(given.held, Path(response["output_mesh_path"]), told, PARTS)
        facts = {
            "num_parts": len(written.parts),
            "requested_parts": wanted,
            "parts": written.parts,
            **told,
            "method": method,
            **({"bridge": bridge} if method == "agglomerative" else {}),
            "success": True,
        }
        response.update(
            num_parts=len(written.parts),
            labels_path=str(written.labels),
            segmentation_info_path=str(written.write_info(facts)),
            segmentation_info=facts,
            seed=seed,
        )
        about = {
            "model": "PartField",
            "input_faces": len(mesh.faces),
            "points_per_face": points,
            "requested_points_per_face": options.points_per_face,
            "features_reused": reused,
            "seed": seed,
            "device": self.device,
        }
        return finish_mesh(self, response, "generation_info", about)

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
            step=self.steps_within(0.05, 0.7),
        )
        self._last_features = (key, features)
        return features, False

    def _checkpoint(self) -> Path | None:
        if self.model_path is not None:
            return Path(self.model_path)
        return None if self.partfield_root is None else self.partfield_root / "model" / "model_objaverse.ckpt"
