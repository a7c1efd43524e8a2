"""What an operator can set: the limits and resources of the scan engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from shared.settings import ServiceSettings

MEBIBYTE = 1024 * 1024


class UnpackLimits(BaseModel, frozen=True):
    """Bounds of one scan; each one that bites is said in the coverage."""

    max_depth: int = Field(default=10, ge=0, description="Levels of archives inside archives that are opened.")
    max_artifacts: int = Field(default=10_000, ge=1, description="Files unpacked in one scan.")
    max_unpacked_bytes: int = Field(default=2048 * MEBIBYTE, ge=1, description="Bytes unpacked in one scan.")
    max_member_bytes: int = Field(default=1024 * MEBIBYTE, ge=1, description="Size of one unpacked file.")
    max_ratio: int = Field(
        default=250, ge=1, description="Unpacked bytes per byte of one archive, once 16 MiB have come out of it."
    )


class EngineSettings(UnpackLimits):
    """Everything the scan engine can be told. Zero means: choose by the number of processor cores."""

    detectors_dir: Path | None = Field(default=None, description="Folder with further model packs, one folder each.")
    rules_dir: Path | None = Field(
        default=None, description="Folder of YARA rules without a manifest, e.g. a community collection as it is."
    )
    detectors_poll_seconds: float = Field(
        default=2.0, ge=0, description="How often the two folders are looked at for changes; 0: never."
    )
    model_provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto",
        description="What models run on. `auto`: CUDA where it works, else the processor. "
        "One that is named must work, or the scanner does not start.",
    )
    gpu_memory_bytes: int = Field(
        default=2048 * MEBIBYTE,
        ge=64 * MEBIBYTE,
        description="GPU memory that one model may take, its weights included; a batch that does not fit is halved.",
    )
    tensorrt_cache_dir: Path | None = Field(
        default=None,
        description="Folder in which TensorRT keeps its engines; without one they are built anew at each start.",
    )
    model_batch: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Inputs in one run of a model at most; 0: 4 on the processor, 64 on a GPU.",
    )
    model_threads: int = Field(default=0, ge=0, description="Model runs at the same time on the CPU.")
    batch_wait_milliseconds: float | None = Field(
        default=None,
        ge=0,
        description="How long a model waits to fill a batch. Unset: not at all on the processor, 2 on a GPU.",
    )
    batch_queue: int = Field(default=1024, ge=1, description="Inputs that may wait for one model before callers wait.")
    parallel_artifacts: int = Field(default=0, ge=0, description="Artifacts looked at together, over all scans.")
    detector_seconds: float = Field(default=60.0, gt=0, description="Time one detector may take for one artifact.")
    work_dir: Path | None = Field(default=None, description="Where unpacked bytes are kept; default the system's.")
    sandbox_workers: int = Field(default=0, ge=0, description="Sandbox processes.")
    sandbox_seconds: float = Field(default=60.0, gt=0, description="Time one artifact may take to unpack.")
    sandbox_memory_bytes: int = Field(
        default=1024 * MEBIBYTE, ge=256 * MEBIBYTE, description="Address space of one sandbox process."
    )
    sandbox_jobs_per_worker: int = Field(default=1000, ge=1, description="Artifacts after which a process is replaced.")

    @property
    def cores(self) -> int:
        """Processor cores this process may use."""
        return len(os.sched_getaffinity(0))

    @property
    def artifacts_together(self) -> int:
        """Artifacts looked at at the same time."""
        return self.parallel_artifacts or 2 * self.cores + 2

    @property
    def background_artifacts_together(self) -> int:
        """Artifacts looked at at the same time that nobody waits for."""
        return max(1, self.artifacts_together // 4)


class Settings(ServiceSettings, EngineSettings):
    """Settings of the scanner service, read from the environment once, in `main.py`."""

    scans_in_flight: int = Field(default=16, ge=1, le=1000, description="Uploaded files scanned at the same time.")
    rescans_in_flight: int = Field(
        default=2, ge=1, le=1000, description="Files scanned again at the same time, beside the uploaded ones."
    )
