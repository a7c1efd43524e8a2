"""Writes the network as one ONNX file."""

from pathlib import Path

import onnx
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
    _strip(path)


def _strip(path: Path) -> None:
    """Remove what the exporter notes of the machine it ran on: stack traces with paths, in every node and value."""
    model = onnx.load(path)
    graph = model.graph
    noted = [model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for function in model.functions:
        noted += [function, *function.node]
    for part in noted:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    path.write_bytes(model.SerializeToString(deterministic=True))
