"""The threads of the engine: blocking work never runs on the event loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scanner.config import EngineSettings


@dataclass(frozen=True, slots=True)
class Threads:
    """Two pools, so that rules over a huge file do not hold up every model."""

    files: ThreadPoolExecutor
    models: ThreadPoolExecutor

    @classmethod
    def start(cls, settings: EngineSettings) -> Threads:
        """Size the pools by the settings; threads are started at first use."""
        models = max(4, 2 * (settings.model_threads or settings.cores))
        return cls(
            ThreadPoolExecutor(settings.artifacts_together, thread_name_prefix="scan-files"),
            ThreadPoolExecutor(models, thread_name_prefix="scan-models"),
        )

    def close(self) -> None:
        """Drop what has not begun; what is running ends by itself, for nobody."""
        self.files.shutdown(wait=False, cancel_futures=True)
        self.models.shutdown(wait=False, cancel_futures=True)
