"""What can go wrong inside the scanner itself; a bad file is a verdict, never one of these.

AppError
├── UnavailableError
│   └── SandboxError        no sandbox worker could be started
└── PermanentError
    ├── PackRefusedError    a model pack cannot be used; the others go on
    ├── DetectorError       a detector could not look at one artifact; becomes a coverage gap
    │   ├── TooLargeError   because the artifact is beyond the detector's limit
    │   └── OutOfMemoryError    because the memory for model runs is too small for it
    └── BatcherClosedError  work was handed to a batcher that is shutting down
"""

from __future__ import annotations

from shared.errors import PermanentError, UnavailableError


class SandboxError(UnavailableError):
    """No sandbox worker could be started."""

    code = "sandbox_unavailable"


class PackRefusedError(PermanentError):
    """A model pack cannot be used; the message says why."""

    code = "pack_refused"


class DetectorError(PermanentError):
    """A detector could not look at one artifact."""

    code = "detector_failed"


class TooLargeError(DetectorError):
    """An artifact is beyond what a detector reads."""

    code = "too_large_for_detector"


class OutOfMemoryError(DetectorError):
    """The memory for model runs is too small for what was asked of it; less at once may do."""

    code = "detector_out_of_memory"


class BatcherClosedError(PermanentError):
    """The batcher no longer takes work."""

    code = "batcher_closed"
