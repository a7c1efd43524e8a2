"""From what a model puts out to a calibrated probability, as the manifest declares it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from scanner.errors import DetectorError

_LARGEST_EXPONENT = 700.0


class Calibration(BaseModel):
    """Platt scaling: score = 1 / (1 + exp(-(slope * logit + intercept)))."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["platt"] = "platt"
    slope: float
    intercept: float

    def probability(self, logit: float) -> float:
        """Return the calibrated probability of malice, 0 to 1."""
        exponent = min(max(-(self.slope * logit + self.intercept), -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
        return 1 / (1 + math.exp(exponent))


AS_IT_IS = Calibration(slope=1.0, intercept=0.0)
"""For a model that is calibrated already."""


class ModelOutput(BaseModel):
    """The `[output]` table: where the score of a file stands among what the model puts out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tensor: str
    gives: Literal["logit", "probability"]
    column: int | None = Field(default=None, ge=0, description="Of a model with a value for each class: the bad one.")

    def logits(self, values: NDArray[np.float32]) -> list[float]:
        """Return one logit a row. Raises DetectorError when the tensor has another form."""
        rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        column = 0 if self.column is None and rows.shape[1] == 1 else self.column
        if column is None or column >= rows.shape[1]:
            raise DetectorError(f"The model gives {rows.shape[1]} values for a file, and the manifest no right column.")
        found = rows[:, column]
        if not np.isfinite(found).all():
            raise DetectorError("The model gives something that is not a number.")
        if self.gives == "probability":
            inside = np.clip(found, 1e-12, 1 - 1e-12)
            found = np.log(inside / (1 - inside))
        return [float(value) for value in found]
