"""The memory in which the inputs of model runs are put together: allocated once, used again for every run."""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import DTypeLike, NDArray

logger = logging.getLogger(__name__)

_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")
_PORTABLE = 1
"""cudaHostAllocPortable: page-locked for every context of the process."""


class HostMemory:
    """One block that grows to the largest batch. For one thread at a time.

    `pinned` asks for page-locked memory, from which a GPU copies without a detour through the
    driver; where the CUDA runtime gives none, ordinary memory does the same more slowly.
    """

    def __init__(self, *, pinned: bool) -> None:
        self.pinned = pinned
        self._block = np.empty(0, dtype=np.uint8)

    def array(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[np.generic]:
        """Return an array over the block; it is valid, and holds the last content, until the next call."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if size > len(self._block):
            self._block = np.empty(0, dtype=np.uint8)  # the old one goes first
            self._block = self._allocate(size)
        return self._block[:size].view(kind).reshape(shape)

    def _allocate(self, size: int) -> NDArray[np.uint8]:
        block = _page_locked(size) if self.pinned else None
        if block is None:
            self.pinned = False
            return np.empty(size, dtype=np.uint8)
        return block


def _page_locked(size: int) -> NDArray[np.uint8] | None:
    """Return page-locked memory of the CUDA runtime, given back with the array; None where there is none."""
    runtime = _cuda_runtime()
    if runtime is None:
        return None
    address = ctypes.c_void_p()
    status = runtime.cudaHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(_PORTABLE))
    if status != 0 or not address.value:
        logger.warning("no page-locked memory for model inputs (CUDA error %d); ordinary memory is used", status)
        return None
    owner = (ctypes.c_ubyte * size).from_address(address.value)
    weakref.finalize(owner, runtime.cudaFreeHost, address)
    return np.frombuffer(memoryview(owner), dtype=np.uint8)


def _cuda_runtime() -> ctypes.CDLL | None:
    """Return the CUDA runtime that ONNX Runtime has loaded already."""
    for name in _CUDA_RUNTIMES:
        with suppress(OSError):
            return ctypes.CDLL(name)
    return None
