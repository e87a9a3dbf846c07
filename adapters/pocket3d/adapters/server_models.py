"""Adapters for models that come as a program with an HTTP endpoint.

`ImageToMeshServer` and `TextToMeshServer` are declared in `models.yaml` alone. `ServerModel` is the base for what takes
a few lines of Python; `form` and `document` make its requests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from .authoring.mesh_job import finish_mesh
from .mesh_models import ImageToMeshModel, TextToMeshModel
from .upstream.http_program.declared import DeclaredConfig, Interface
from .upstream.http_program.errors import BadAnswer, ProgramFailed
from .upstream.http_program.model import ServerConfig, ServerModel, Step, check_glb
from .upstream.http_program.requests import Request, document, form

__all__ = [
    "ServerModel",
    "ServerConfig",
    "ImageToMeshServer",
    "TextToMeshServer",
    "Request",
    "form",
    "document",
    "Step",
    "check_glb",
    "BadAnswer",
    "ProgramFailed",
]


class _DeclaredServer(ServerModel):
    """What both share. `DeclaredConfig` has the arguments."""

    devices = ("cuda", "cpu")
    config_type = DeclaredConfig
    config: DeclaredConfig
    #: What the feature gives to a request.
    given: ClassVar[str]

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._interface = Interface(self.config, self.given)
        # Declared by the object's configuration, not by its class.
        self.options_type = self._interface.options_type  # type: ignore[misc]
        self.stops_when_closed = self.config.stops_when_closed  # type: ignore[misc]

    def _line_reader(self) -> Callable[[str], Step | None]:
        return self._interface.step

    def _answered(self, inputs: dict[str, Any], given: Any, response: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, of the value of `given` and the feature's own response."""
        assert self.options_type is not None
        options = self.options_type.read(inputs)
        target = Path(response["output_mesh_path"])
        values = {name: getattr(options, name) for name in options.__struct_fields__}
        values |= {self.given: given, "output_format": target.suffix.removeprefix(".")}
        request = self._interface.request(values)
        if self._interface.answer is None:
            self.ask(request, target)
        else:
            wrapped = target.with_name("answer.json")
            self.ask(request, wrapped)
            self._interface.unwrap(wrapped, target)
            wrapped.unlink()
        if target.suffix == ".glb":
            check_glb(target)
        self.step(0.96, "looking at the result")
        if "seed" in values:
            response["seed"] = values["seed"]
        return finish_mesh(self, response, "generation_info", {"vram_peak_mb": self._run().vram_peak_mb})


class ImageToMeshServer(_DeclaredServer, ImageToMeshModel):
    """A program that makes a mesh of an image: `{image}` in its request."""

    given: ClassVar[str] = "image"
    default_max_images: ClassVar[int] = 1

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answered(inputs, self._image_paths(inputs)[0], super()._process_request(inputs))


class TextToMeshServer(_DeclaredServer, TextToMeshModel):
    """A program that makes a mesh of a text: `{text_prompt}` in its request."""

    given: ClassVar[str] = "text_prompt"

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answered(inputs, inputs["text_prompt"].strip(), super()._process_request(inputs))
