"""Counts that an adapter keeps of itself, per model and process."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import structlog

_log = structlog.get_logger()


class ModelMetrics:
    """Successes and failures per model id in this process. Thread-safe."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _records: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def record_success(cls, model_id: str, processing_time: float) -> None:
        """Count a request that was answered after `processing_time` seconds."""
        with cls._lock:
            record = cls._record(model_id)
            record["successes"] += 1
            record["processing_s"] += float(processing_time)

    @classmethod
    def record_failure(cls, model_id: str, error: str) -> None:
        """Count a request that failed with `error`."""
        with cls._lock:
            record = cls._record(model_id)
            record["failures"] += 1
            record["last_error"] = str(error)
        _log.warning("a request failed", model_id=model_id, error=str(error))

    @classmethod
    def get(cls, model_id: str) -> dict[str, Any]:
        """`successes`, `failures`, `processing_s` (sum over successes) and `last_error` (or None)."""
        with cls._lock:
            return dict(cls._record(model_id))

    @classmethod
    def reset(cls) -> None:
        """Forget everything."""
        with cls._lock:
            cls._records.clear()

    @classmethod
    def _record(cls, model_id: str) -> dict[str, Any]:
        return cls._records.setdefault(
            model_id, {"successes": 0, "failures": 0, "processing_s": 0.0, "last_error": None}
        )
