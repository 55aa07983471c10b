from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cost_models.errors import UserError
from search_spaces.arch import ArchSpec, Sketch
from search_spaces.layers import (
    INPUT,
    Add,
    ArchError,
    AveragePool,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Softmax,
)


def spec(*layers: Layer, input_shape: tuple[int, ...] = (8, 8, 1)) -> ArchSpec:
    return ArchSpec(input_shape=input_shape, layers=layers)


def every_kind() -> ArchSpec:
    return spec(
        Conv(inputs=(INPUT,), filters=8, kernel=(5, 3), strides=(2, 1), activation="RELU6"),
        DepthwiseConv(inputs=(0,), multiplier=2, batch_norm=False),
        Conv(inputs=(1,), filters=8, kernel=(1, 1), activation="NONE"),
        Add(inputs=(0, 2), activation="RELU"),
        MaxPool(inputs=(3,), kernel=(3, 3), strides=(1, 1), padding="SAME"),
        AveragePool(inputs=(3,), kernel=(3, 3), strides=(1, 1), padding="SAME"),
        Concat(inputs=(4, 5)),
        Flatten(inputs=(6,)),
        GlobalAveragePool(inputs=(6,)),
        Dense(inputs=(7,), units=16),
        Dense(inputs=(8,), units=16),
        Add(inputs=(9, 10)),
        Dense(inputs=(11,), units=10, activation="NONE"),
        Softmax(inputs=(12,)),
    )


def test_shapes_are_inferred() -> None:
    assert every_kind().shapes[0] == (4, 8, 8)
    assert every_kind().shapes[1] == (4, 8, 16)
    assert every_kind().shapes[6] == (4, 8, 16)
    assert every_kind().shapes[7] == (4 * 8 * 16,)
    assert every_kind().output_shape == (10,)
    assert spec(Conv(inputs=(-1,), filters=4, padding="VALID", dilation=(2, 1))).shapes == ((4, 6, 4),)


def test_a_spec_comes_back_from_its_json() -> None:
    one = every_kind()
    assert ArchSpec.from_json(one.to_json()) == one
    assert hash(ArchSpec.from_json(one.to_json())) == hash(one)


def test_the_digest_is_the_same_in_another_process() -> None:
    one = every_kind()
    code = (
        "import sys; from search_spaces.arch import ArchSpec;"
        "print(ArchSpec.from_json(sys.stdin.read()).digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=one.to_json(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == one.digest()


def test_the_digest_is_the_same_in_every_version() -> None:
    one = spec(Flatten(inputs=(-1,)), Dense(inputs=(0,), units=10, activation="NONE"))
    assert one.digest() == "7461a4e321dce757dc8bb80ee002b739a496406a7ed6eb3032eba97d553b5f8b"


def test_networks_that_differ_have_digests_that_differ() -> None:
    one = spec(Conv(inputs=(-1,), filters=8))
    assert one.digest() != spec(Conv(inputs=(-1,), filters=8, batch_norm=False)).digest()
    assert one.digest() != spec(Conv(inputs=(-1,), filters=8), input_shape=(8, 8, 2)).digest()


def test_a_sketch_draws_the_same_network() -> None:
    sketch = Sketch((8, 8, 1))
    for layer in every_kind().layers:
        sketch.add(layer)
    assert sketch.shape_of(INPUT) == (8, 8, 1)
    assert sketch.spec() == every_kind()


CONV = Conv(inputs=(-1,), filters=8)
CONV2 = Conv(inputs=(0,), filters=8)
SAME_POOL = MaxPool(inputs=(-1,), strides=(1, 1), padding="SAME")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "a network has at least one layer"),
        ((Conv(inputs=(0,), filters=8),), "layer 0 (Conv): its input 0 is not an earlier layer"),
        ((CONV, Conv(inputs=(-2,), filters=8)), "layer 1 (Conv): its input -2 is not an earlier layer"),
        ((Conv(inputs=(-1,), filters=0),), "layer 0 (Conv): filters is 0, it must be positive"),
        ((Conv(inputs=(-1,), filters=8, kernel=(0, 1)),), "kernel, strides and dilation must be positive"),
        (
            (Conv(inputs=(-1,), filters=8, strides=(2, 2), dilation=(2, 2)),),
            "a convolution cannot have both strides and dilation",
        ),
        (
            (Conv(inputs=(-1,), filters=8, kernel=(9, 1), padding="VALID"),),
            "its kernel (9, 1) does not fit into the map 8 x 8",
        ),
        ((Conv(inputs=(-1,), filters=8, padding="same"),), "padding is 'same', it is SAME or VALID"),  # type: ignore[arg-type]
        ((Conv(inputs=(-1, -1), filters=8),), "it takes one input, not 2"),
        ((DepthwiseConv(inputs=(-1,), multiplier=0),), "multiplier is 0, it must be positive"),
        ((DepthwiseConv(inputs=(-1,), strides=(2, 1)),), "needs equal strides"),
        ((Dense(inputs=(-1,), units=4),), "it takes a vector, not the shape (8, 8, 1)"),
        ((Flatten(inputs=(-1,)), Dense(inputs=(0,), units=0)), "units is 0, it must be positive"),
        (
            (Flatten(inputs=(-1,)), Flatten(inputs=(0,))),
            "it takes a map (height, width, channels), not the shape (64,)",
        ),
        ((CONV, Add(inputs=(0,))), "it adds two inputs, not 1"),
        ((CONV, Add(inputs=(0, 0))), "it adds an input to itself"),
        ((CONV, Add(inputs=(0, -1))), "it adds shapes that differ: (8, 8, 8) and (8, 8, 1)"),
        ((CONV, Concat(inputs=(0,))), "it joins at least two inputs"),
        ((CONV, MaxPool(inputs=(0,)), Concat(inputs=(0, 1))), "it joins maps that differ"),
        ((CONV, CONV), "layer 0 (Conv): nothing uses it"),
        (
            (Flatten(inputs=(-1,)), *(Dense(inputs=(i,), units=4, activation="NONE") for i in (0, 1))),
            "two dense layers without an activation are one",
        ),
        (
            (MaxPool(inputs=(-1,)), MaxPool(inputs=(-1,)), Concat(inputs=(0, 1))),
            "layer 1 (MaxPool): it repeats layer 0",
        ),
        (
            (
                CONV,
                MaxPool(inputs=(-1,), strides=(1, 1), padding="SAME"),
                Concat(inputs=(-1, 0)),
                Concat(inputs=(1, 2)),
            ),
            "the input: two Concat layers join it, and both would set its scale",
        ),
        (
            (CONV, CONV2, Concat(inputs=(0, 1)), Conv(inputs=(2,), filters=8), Concat(inputs=(0, 3))),
            "layer 0 (Conv): two Concat layers join it, and both would set its scale",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ArchError) as caught:
        spec(*layers)
    assert message in str(caught.value)


def test_an_input_shape_that_cannot_be_is_refused() -> None:
    with pytest.raises(ArchError, match="neither"):
        spec(CONV, input_shape=(8, 8))
    with pytest.raises(ArchError, match="neither"):
        spec(CONV, input_shape=(8, 0, 1))


def test_joins_in_a_row_are_one_scale_and_allowed() -> None:
    one = spec(CONV, CONV2, Concat(inputs=(0, 1)), Conv(inputs=(2,), filters=8), Concat(inputs=(2, 3)))
    assert one.output_shape == (8, 8, 24)


def changed(**change: object) -> str:
    content = json.loads(spec(CONV).to_json())
    content["layers"][0] |= change
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "This architecture is not JSON"),
        ("[]", "This JSON is not an architecture. It needs schema 1, input_shape, layers."),
        ('{"schema":1}', "This architecture has no list of layers."),
        ('{"schema":1,"layers":[1],"input_shape":[1]}', "layer 0 is not an object"),
        ('{"schema":1,"layers":[],"input_shape":"8"}', "input_shape is not a list of integers"),
        (changed(type="Konv"), "layer 0 has the unknown type 'Konv'. Did you mean Conv?"),
        (changed(size=3), "layer 0 (Conv) has missing or unknown keys: size"),
        (changed(filters="8"), "layer 0 (Conv): filters is not an integer"),
        (changed(kernel=[3]), "layer 0 (Conv): kernel is not a pair"),
        (changed(kernel=[3, 1.5]), "layer 0 (Conv): kernel is not a list of integers"),
        (changed(batch_norm=1), "layer 0 (Conv): batch_norm is not true or false"),
        (changed(activation="GELU"), "layer 0 (Conv): activation is not NONE, RELU or RELU6"),
        (changed(padding="FULL"), "layer 0 (Conv): padding is not SAME or VALID"),
        (
            changed(filters=0),
            "This architecture cannot be built: layer 0 (Conv): filters is 0, it must be positive.",
        ),
    ],
)
def test_json_that_is_no_network_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        ArchSpec.from_json(text)
    assert message in str(caught.value)
