"""Compares the inputs and outputs of a model with what its manifest says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scanner.errors import PackRefusedError

FLOATS = frozenset({"tensor(float)", "tensor(double)", "tensor(float16)"})


def check_signature(
    session: Any, tensor: str, element_type: str, item_shape: Sequence[int | None], outputs: Sequence[str]
) -> int | None:
    """Return the batch size the model is fixed to, or None. Raises PackRefusedError with what differs.

    `element_type` is ONNX Runtime's name, e.g. `tensor(int32)`; `item_shape` is that of one file,
    None where the size varies.
    """
    inputs = {one.name: one for one in session.get_inputs()}
    if set(inputs) != {tensor}:
        raise PackRefusedError(f"The model's inputs are {_listed(inputs)}, the manifest says {tensor}.")
    found = inputs[tensor]
    if found.type != element_type:
        raise PackRefusedError(f"The model's input {tensor} is a {found.type}, the manifest makes it a {element_type}.")
    if len(found.shape) != len(item_shape) + 1 or any(
        isinstance(there, int) and there != here for there, here in zip(found.shape[1:], item_shape, strict=True)
    ):
        raise PackRefusedError(
            f"The model's input {tensor} has the shape {_shape(found.shape)}, "
            f"the manifest makes it {_shape(['files', *item_shape])}."
        )
    _check_outputs({one.name: one for one in session.get_outputs()}, outputs)
    return found.shape[0] if isinstance(found.shape[0], int) else None


def _check_outputs(present: dict[str, Any], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            raise PackRefusedError(f"The model's outputs are {_listed(present)}, the manifest says {name}.")
        if present[name].type not in FLOATS:
            raise PackRefusedError(f"The model's output {name} is a {present[name].type}; it must be a float tensor.")


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shape(dimensions: Sequence[object]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in dimensions) + "]"
