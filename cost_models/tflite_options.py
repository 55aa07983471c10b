"""Reading the options of operators: those that a cost depends on as `Options`, the others as they are."""

from __future__ import annotations

from typing import TypeVar

from cost_models import tflite_schema as schema
from cost_models.errors import UserError
from cost_models.flatbuffer import Table, broken
from cost_models.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    KernelOptions,
    NoOptions,
    Operator,
    Options,
    Padding,
    Pool2DOptions,
    ReducerOptions,
    SoftmaxOptions,
    Tensor,
    TransposeConv2DOptions,
)

_Name = TypeVar("_Name", bound=str)


def read_options(index: int, kind: str, op: Table) -> Options:
    """The options that a cost depends on; a field that is not stored has the schema's default."""
    if kind == "TRANSPOSE_CONV":
        return _transpose_conv(index, op.table(schema.OP_OPTIONS))
    if kind in schema.READ_OPTIONS or kind in schema.KERNEL_OPTIONS:
        return _kernel_options(index, kind, op)
    if kind not in schema.MODELLED_OPTIONS:
        return NoOptions()
    expected, fields = schema.MODELLED_OPTIONS[kind]
    options = op.table(schema.OP_OPTIONS)
    if options is not None and op.integer(schema.OP_OPTIONS_TYPE, "B") != expected:
        raise broken(f"operator {index} ({kind}) has options of another operator")

    def number(name: str, code: str = "i") -> int:
        field, _, default = fields[name]
        return options.integer(field, code, int(default)) if options is not None else int(default)

    def activation() -> Activation:
        return _name(index, kind, "activation", schema.ACTIVATIONS, number("activation", "b"))

    def padding() -> Padding:
        return _name(index, kind, "padding", schema.PADDINGS, number("padding", "b"))

    match kind:
        case "CONV_2D":
            return Conv2DOptions(
                padding=padding(),
                stride_h=number("stride_h"),
                stride_w=number("stride_w"),
                dilation_h=number("dilation_h"),
                dilation_w=number("dilation_w"),
                activation=activation(),
            )
        case "DEPTHWISE_CONV_2D":
            return DepthwiseConv2DOptions(
                padding=padding(),
                stride_h=number("stride_h"),
                stride_w=number("stride_w"),
                dilation_h=number("dilation_h"),
                dilation_w=number("dilation_w"),
                depth_multiplier=number("depth_multiplier"),
                activation=activation(),
            )
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D" | "L2_POOL_2D":
            return Pool2DOptions(
                padding=padding(),
                stride_h=number("stride_h"),
                stride_w=number("stride_w"),
                filter_h=number("filter_h"),
                filter_w=number("filter_w"),
                activation=activation(),
            )
        case "FULLY_CONNECTED":
            if number("weights_format", "b"):
                raise UserError(
                    f"Operator {index} of the model (FULLY_CONNECTED) has shuffled weights.",
                    "Convert it for the built-in int8 operators (tf.lite.OpsSet.TFLITE_BUILTINS_INT8).",
                )
            return FullyConnectedOptions(
                activation=activation(), keep_num_dims=bool(number("keep_num_dims", "B"))
            )
        case "CONCATENATION":
            return ConcatenationOptions(axis=number("axis"), activation=activation())
        case "ADD" | "SUB" | "MUL":
            return ElementwiseOptions(activation=activation())
        case "SOFTMAX":
            beta = options.real(fields["beta"][0]) if options is not None else 0.0
            return SoftmaxOptions(beta=beta)
        case _:
            return ReducerOptions(keep_dims=bool(number("keep_dims", "B")))


def _kernel_options(index: int, kind: str, op: Table) -> KernelOptions:
    number, fields = schema.KERNEL_OPTIONS.get(kind) or schema.OTHER_OPTIONS[kind]
    options = op.table(schema.OP_OPTIONS)
    if options is None:
        if kind in schema.CALLED_SUBGRAPHS or kind == "SVDF":
            raise broken(f"operator {index} ({kind}) has no options")
        return KernelOptions(values=tuple((name, int(default)) for name, (_, _, default) in fields.items()))
    if op.integer(schema.OP_OPTIONS_TYPE, "B") != number:
        raise broken(f"operator {index} ({kind}) has options of another operator")
    return KernelOptions(
        values=tuple(
            (name, options.integer(field, letter, int(default)))
            for name, (field, letter, default) in fields.items()
        )
    )


def _transpose_conv(index: int, table: Table | None) -> TransposeConv2DOptions:
    values = {name: int(value) for name, value in named_scalars("TRANSPOSE_CONV", table).items()}
    return TransposeConv2DOptions(
        padding=_name(index, "TRANSPOSE_CONV", "padding", schema.PADDINGS, values["padding"]),
        stride_h=values["stride_h"],
        stride_w=values["stride_w"],
        activation=_name(index, "TRANSPOSE_CONV", "activation", schema.ACTIVATIONS, values["activation"]),
    )


def _name(index: int, kind: str, what: str, names: tuple[_Name, ...], number: int) -> _Name:
    if not 0 <= number < len(names):
        raise broken(f"operator {index} ({kind}) has {what} number {number}")
    return names[number]


def all_scalars(kind: str, table: Table | None) -> tuple[tuple[int, str, int | float], ...]:
    """Field id, `struct` letter and value of every scalar option of an operator whose options cost nothing."""
    values: list[tuple[int, str, int | float]] = []
    for field, letter, default in schema.OTHER_OPTIONS[kind][1].values():
        if table is None:
            values.append((field, letter, default))
        elif letter == "f":
            values.append((field, letter, table.real(field, float(default))))
        else:
            values.append((field, letter, table.integer(field, letter, int(default))))
    return tuple(values)


def named_scalars(kind: str, table: Table | None) -> dict[str, int | float]:
    """The values of `all_scalars` by the names of their fields."""
    values = (value for _, _, value in all_scalars(kind, table))
    return dict(zip(schema.OTHER_OPTIONS[kind][1], values, strict=True))


def squeezed_axes(
    index: int, op: Operator, tensors: tuple[Tensor, ...], table: Table | None
) -> tuple[int, ...]:
    """The axes that a SQUEEZE takes away, named even where the file leaves them open.

    Raises:
        UserError: They do not explain the shape of the output.
    """
    source, shape = tensors[op.inputs[0]].shape, tensors[op.outputs[0]].shape
    axes = table.numbers(0, "i") if table is not None else ()
    axes = axes or tuple(axis for axis, size in enumerate(source) if size == 1)
    if len(axes) != len(source) - len(shape):
        raise broken(f"operator {index} (SQUEEZE) cannot make {list(shape)} of {list(source)}")
    return axes
