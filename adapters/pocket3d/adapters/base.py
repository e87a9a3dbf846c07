"""`BaseModel`: the life of a model (load, process, unload).

Imports nothing heavy: adapters import their frameworks inside their methods, so that a class can be described in an
interpreter that lacks them.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pocket3d.contracts.variants import Variant, best_first, problem_of, variant_named

from .authoring.options import Options, json_schema
from .authoring.request_access import RequestAccess
from .authoring.run_context import RunContext, current_run
from .errors import InvalidInput, JobCancelled
from .licenses import License
from .runtime.process_device import empty_cuda_cache, set_process_device

__all__ = ["BaseModel", "ModelStatus", "InvalidInput", "JobCancelled", "License", "Variant", "set_process_device"]

M = TypeVar("M", bound="BaseModel")

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class ModelStatus(str, Enum):
    """Where a model is in its life."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    PROCESSING = "processing"
    ERROR = "error"


class BaseModel(RequestAccess, ABC):
    """One model behind the system's interface.

    An adapter implements `_load_model`, `_unload_model` and `_process_request`, each sync or async. Sync ones run in
    threads of the model's own (`max_concurrent` of them), so that several requests can run at once; async ones share
    one event loop, so one that computes without awaiting holds up the others of its worker.

    Args:
        model_id: name of the model; None for the class's `adapter_id`, else one made from the class's name.
        model_path: weights on disk, or a hub's repository id.
        vram_requirement: MB that the loaded model and one request need together; None for `default_vram_mb`. Of an
            adapter with `variants` each of them says it.
        feature_type: what it serves, a canonical feature such as `text_to_mesh`.
        max_concurrent: requests that may run in it at once; None for `default_max_concurrent`.
        supported_output_formats: suffixes without a dot, the default first; None for the class's own.
        supported_input_formats: suffixes of input files; None for the class's own.

    Raises:
        ValueError: no requirement or a negative one, `max_concurrent` below 1, or wrong `variants`.
    """

    #: Device kinds it runs on, for the agent's choice. Adapters that also run without a GPU say `("cuda", "cpu")`.
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    #: Licence of code and weights; None when nothing needs saying. A constructor may set another one on its object,
    #: for what its configuration leaves out.
    license_info: ClassVar[License | None] = None
    #: What `feature_type` is unless the constructor is told another.
    default_feature: ClassVar[str] = "unknown"
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")
    default_input_formats: ClassVar[tuple[str, ...]] = ()
    #: What the constructor's arguments are unless it is told others.
    adapter_id: ClassVar[str | None] = None
    default_vram_mb: ClassVar[int | None] = None
    #: MB of these that it holds while no request runs, if each request takes the rest by itself; None for all of them.
    idle_vram_mb: ClassVar[int | None] = None
    default_max_concurrent: ClassVar[int] = 1
    #: The declaration of its inputs, see `authoring.options`: schema and check; None where the adapter has its own.
    options_type: ClassVar[type[Options] | None] = None
    #: The sizes in which the model can be loaded (resolutions, precisions), where there are several. A constructor may
    #: set its own before it calls this one. `_load_model` loads the one that `self.variant` names.
    variants: Sequence[Variant] = ()

    _constructor_arguments: dict[str, Any] | None

    def __new__(cls: type[M], *args: Any, **kwargs: Any) -> M:
        """Remember the arguments: a scheduler rebuilds the adapter from them in a worker process."""
        instance = super().__new__(cls)
        instance._constructor_arguments = _named_arguments(cls, args, kwargs)
        return instance

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int | None = None,
        feature_type: str | None = None,
        max_concurrent: int | None = None,
        supported_output_formats: Sequence[str] | None = None,
        supported_input_formats: Sequence[str] | None = None,
    ) -> None:
        #: Name of the variant that this object loads: the best, until `choose_variant` is called. None without any.
        self.variant: str | None = None
        if self.variants:
            if vram_requirement is not None:
                raise ValueError(
                    f"{type(self).__name__} has variants, and each its vram_mb: leave vram_requirement out"
                )
            problem = problem_of(self.variants)
            if problem is not None:
                raise ValueError(f"{type(self).__name__}: {problem}")
            best = best_first(self.variants)[0]
            self.variant, vram_requirement = best.name, best.vram_mb
        vram_requirement = self.default_vram_mb if vram_requirement is None else vram_requirement
        max_concurrent = self.default_max_concurrent if max_concurrent is None else max_concurrent
        if vram_requirement is None:
            raise ValueError(f"{type(self).__name__} needs vram_requirement (MB of the loaded model and one request)")
        if not math.isfinite(vram_requirement) or vram_requirement < 0:
            raise ValueError(f"vram_requirement {vram_requirement!r}: want MB, 0 or more")
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent {max_concurrent!r}: want 1 or more")
        super().__init__()
        self.model_id: str = model_id if model_id is not None else self.adapter_id or kebab(type(self).__name__)
        self.model_path: Any = model_path
        self.vram_requirement: int = math.ceil(vram_requirement)
        self.feature_type: str = feature_type if feature_type is not None else self.default_feature
        self.max_concurrent: int = int(max_concurrent)
        self.supported_output_formats = _formats(supported_output_formats, self.default_output_formats)
        self.supported_input_formats = _formats(supported_input_formats, self.default_input_formats)
        #: The id under which a registry made it; None where it was constructed directly.
        self.registered_id: str | None = None
        self.status = ModelStatus.UNLOADED
        self.gpu_id: int | None = None
        #: What `_load_model` returned, unless the adapter sets it itself.
        self.model: Any = None
        #: Requests processed since the load, failed ones included.
        self.processing_count = 0
        self._loaded = False
        self._threads: ThreadPoolExecutor | None = None

    # ------------------------------------------------------------ what an adapter implements

    @abstractmethod
    def _load_model(self) -> Any:
        """Load the weights; the returned value becomes `self.model` unless it is None. Sync or async."""

    @abstractmethod
    def _unload_model(self) -> Any:
        """Free what `_load_model` took. Sync or async."""

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """Answer one request with a dict; files go to `self.output_dir`. Sync or async."""

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Refuse what can be refused without the model: here what `options_type` does not allow. `process` calls it
        before `_process_request`.

        Raises:
            InvalidInput: the request is at fault.
        """
        if self.options_type is not None:
            if "output_format" in self.options_type.__struct_fields__:
                self._validate_common_inputs(inputs)
            self.options_type.read(inputs)

    def check_available(self) -> str | None:
        """Why this adapter cannot work on this host (a missing package or weight), or None. Must be quick."""
        return None

    def get_parameter_schema(self) -> dict[str, Any] | None:
        """JSON Schema of `inputs` (a new one each time), or None when any keys are taken."""
        return None if self.options_type is None else json_schema(self.options_type, self.supported_output_formats)

    # ------------------------------------------------------------ life

    def choose_variant(self, name: str) -> None:
        """Load this variant at the next load; `variant` and `vram_requirement` are then its own. Workers call it.

        Raises:
            ValueError: the adapter has no such variant.
            RuntimeError: a variant is loaded.
        """
        chosen = variant_named(self.variants, name)
        if chosen is None:
            known = ", ".join(each.name for each in self.variants) or "none"
            raise ValueError(f"{self.model_id} has no variant {name!r}; it has {known}")
        if self._loaded or self.status is ModelStatus.LOADING:
            raise RuntimeError(f"{self.model_id} is {self.status.value} as {self.variant}; unload it first")
        self.variant, self.vram_requirement = chosen.name, chosen.vram_mb

    async def load(self, gpu_id: int = 0) -> bool:
        """Load the model. Does nothing if it is loaded.

        Args:
            gpu_id: index among the devices that this process sees; workers see one, so it is 0 there.

        Raises:
            RuntimeError: a load is under way.
            Exception: whatever `_load_model` raised; the status is then ERROR.
        """
        with self._state_lock:
            if self._loaded:
                return True
            if self.status is ModelStatus.LOADING:
                raise RuntimeError(f"{self.model_id} is being loaded already")
            self.status = ModelStatus.LOADING
        self.gpu_id = gpu_id
        try:
            model = await self._call(self._load_model)
        except BaseException:
            self.status = ModelStatus.ERROR
            self._close_threads()
            raise
        if model is not None:
            self.model = model
        with self._state_lock:
            self._loaded = True
            self.processing_count = 0
            self.status = ModelStatus.LOADED
        return True

    async def process(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Answer one request.

        Raises:
            InvalidInput: the request is at fault.
            JobCancelled: the job was cancelled and the adapter noticed.
            RuntimeError: the model is not loaded.
            Exception: whatever `_process_request` raised. The status is LOADED again.
        """
        inherited = current_run.get()
        run = inherited if inherited is not None else RunContext()
        with self._state_lock:
            if not self._loaded:
                raise RuntimeError(f"{self.model_id} is not loaded (it is {self.status.value}); await load() first")
            self._active.append(run)
            self.status = ModelStatus.PROCESSING
        token = current_run.set(run)
        try:
            self.validate_inputs(inputs)
            outputs: dict[str, Any] = await self._call(self._process_request, inputs)
            return outputs
        finally:
            current_run.reset(token)
            with self._state_lock:
                self._active.remove(run)
                self.processing_count += 1
                if not self._active:
                    self.status = ModelStatus.LOADED

    async def unload(self) -> bool:
        """Free the model. Does nothing if it is not loaded.

        Raises:
            RuntimeError: requests are running.
            Exception: whatever `_unload_model` raised; the status is then ERROR.
        """
        with self._state_lock:
            if self.status is ModelStatus.UNLOADED:
                return True
            if self._active or self.status is ModelStatus.LOADING:
                raise RuntimeError(f"{self.model_id} is {self.status.value}; unload it when it is idle")
        try:
            await self._call(self._unload_model)
        except BaseException:
            self.status = ModelStatus.ERROR
            raise
        finally:
            self._loaded = False
            self._close_threads()
        self.model = None
        self.gpu_id = None
        empty_cuda_cache()
        self.status = ModelStatus.UNLOADED
        return True

    async def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        if inspect.iscoroutinefunction(method):
            return await method(*arguments)
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        if self._threads is None:
            # Not the loop's own pool: that has as many threads as the host's cores allow, not as many as we promise.
            self._threads = ThreadPoolExecutor(self.max_concurrent, thread_name_prefix=f"model-{self.model_id}")
        answer = await loop.run_in_executor(self._threads, lambda: context.run(method, *arguments))
        # A decorated async method looks sync from outside.
        return await answer if inspect.isawaitable(answer) else answer

    def _close_threads(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    # ------------------------------------------------------------ what the guide promises

    @property
    def constructor_arguments(self) -> dict[str, Any]:
        """The arguments it was built with, by name: enough to build it again elsewhere.

        Raises:
            TypeError: it was built with positional arguments beyond its named ones.
        """
        if self._constructor_arguments is None:
            raise TypeError(f"{type(self).__name__} cannot be built again: its arguments cannot be named")
        return dict(self._constructor_arguments)

    def _validate_common_inputs(self, inputs: dict[str, Any]) -> str:
        """The wanted output format, lower case, without a dot.

        Raises:
            InvalidInput: not one of `supported_output_formats`.
        """
        wanted = inputs.get("output_format")
        if wanted is None:
            return self._default_output_format(inputs)
        name = wanted.lower().removeprefix(".") if isinstance(wanted, str) else wanted
        if name not in self.supported_output_formats:
            raise InvalidInput(
                f"Unsupported output format: {wanted!r}; want one of {', '.join(self.supported_output_formats)}",
                "output_format",
            )
        return str(name)

    def _checked_response(
        self, inputs: dict[str, Any], info_key: str, info: dict[str, Any], **facts: Any
    ) -> dict[str, Any]:
        """The checked common response, the facts, and under `info_key` the info with `success`."""
        response = self._create_common_response(inputs, self._validate_common_inputs(inputs))
        return {**response, **facts, info_key: {**info, "success": True}}

    def _default_output_format(self, inputs: dict[str, Any]) -> str:
        formats = self.supported_output_formats
        return "glb" if "glb" in formats or not formats else formats[0]

    def _create_common_response(self, inputs: dict[str, Any], output_format: str) -> dict[str, Any]:
        """`success`, and in `output_mesh_path` the place inside `output_dir` where the mesh is expected."""
        name = _UNSAFE.sub("_", self.model_id)
        return {"output_mesh_path": str(self.output_dir / f"generated_mesh_{name}.{output_format}"), "success": True}

    def get_supported_formats(self) -> dict[str, list[str]]:
        """Suffixes (or `text`) it takes and gives."""
        return {"input": list(self.supported_input_formats), "output": list(self.supported_output_formats)}

    def get_model_info(self) -> dict[str, Any]:
        """The same as `get_info`, by its former name."""
        return self.get_info()

    def get_info(self) -> dict[str, Any]:
        """What it is and how it is, for people."""
        return {
            "model_id": self.model_id,
            "feature_type": self.feature_type,
            "status": self.status.value,
            "gpu_id": self.gpu_id,
            "vram_requirement": self.vram_requirement,
            "max_concurrent": self.max_concurrent,
            "supported_formats": self.get_supported_formats(),
            "processing_count": self.processing_count,
        }


def _formats(given: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    return [name.lower().removeprefix(".") for name in (default if given is None else given)]


def kebab(name: str) -> str:
    """`MyModelAdapter` as `my-model-adapter`."""
    return "-".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name) or [name]).lower()


def _named_arguments(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a call of `cls` under the names that its constructor gives them; None where they do not fit it,
    or some have no name (`*args`).
    """
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]  # looked at, not called
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:
        # `__init__` is about to say what is wrong, better than we could (or it is `copy`, which does not call it).
        return None
    named: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            return None
        else:
            named[name] = value
    return named
