"""Writes the network as one ONNX file."""

from pathlib import Path

import torch

from script_threat.network import ExportedNetwork
from script_threat.preprocessing import ALIGNMENT, WINDOW

OPSET = 18


def export_onnx(network: ExportedNetwork, path: Path) -> None:
    """Tokens int32 [batch, length] to score float32 [batch] and evidence float32 [batch, length / ALIGNMENT]."""
    example = torch.full((2, WINDOW), ord(" "), dtype=torch.int32)
    batch = torch.export.Dim("batch", min=1, max=1024)
    blocks = torch.export.Dim("blocks", min=1, max=4096)
    torch.onnx.export(
        network.eval(),
        (example,),
        str(path),
        input_names=["tokens"],
        output_names=["score", "evidence"],
        dynamic_shapes=({0: batch, 1: ALIGNMENT * blocks},),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
