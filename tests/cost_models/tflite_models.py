"""Models for the tests of reading and writing .tflite: files, edits of files, and small ones made from scratch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DATA = Path(__file__).parents[1] / "data"
SAMPLES = sorted((DATA / "calibration").glob("*.tflite"))
OPERATORS = sorted((DATA / "operators").glob("*.tflite"))
CALIBRATION = Path(__file__).parents[3] / "shared" / "calibration" / "models"


def name(path: Path) -> str:
    return path.stem


def unpack(data: bytes) -> Any:
    """The model as the schema's own classes see it."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def edited(data: bytes, edit: Callable[[Any], object]) -> bytes:
    """The file after an edit of its model."""
    model = unpack(data)
    edit(model)
    return pack(model)


def _tensor(model: Any, shape: Sequence[int], dtype: int, data: np.ndarray | None, scales: int) -> int:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.name = list(shape), dtype, "layer"
    tensor.buffer = 0
    if data is not None:
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(data.tobytes(), dtype=np.uint8)
    if scales:
        quantization = schema.QuantizationParametersT()
        quantization.scale = [0.01 * (1 + index) for index in range(scales)]
        quantization.zeroPoint = [0] * scales
        tensor.quantization = quantization
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def dense_chain(widths: Sequence[int], biased: Sequence[bool], per_channel: Sequence[bool]) -> bytes:
    """Fully connected layers of these widths; a model as a converter would write it, names and all."""
    model = schema.ModelT()
    model.version, model.description = 3, "made by hand"
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = 9, 9, 4
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs = [graph]
    here = _tensor(model, (1, widths[0]), 9, None, 1)
    graph.inputs = [here]
    for depth, units, bias, channels in zip(widths, widths[1:], biased, per_channel):
        scales = units if channels else 1
        weights = np.arange(units * depth, dtype=np.int8).reshape(units, depth)
        inputs = [here, _tensor(model, weights.shape, 9, weights, scales), -1]
        if bias:
            inputs[2] = _tensor(model, (units,), 2, np.arange(units, dtype=np.int32), scales)
            # TFLM compares the scale of a bias with the product of the input's and the weights'.
            bias = model.subgraphs[0].tensors[inputs[2]].quantization
            bias.scale = [0.01 * scale for scale in bias.scale]
        here = _tensor(model, (1, units), 9, None, 1)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, inputs, [here]
        op.builtinOptionsType, op.builtinOptions = 8, schema.FullyConnectedOptionsT()
        op.builtinOptions.fusedActivationFunction = 1 if bias else 0
        graph.operators.append(op)
    graph.outputs = [here]
    return pack(model)
