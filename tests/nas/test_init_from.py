"""What `--init-from` takes of a run or a `.keras` file, what networks take of that, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cost_models.errors import UserError
from nas.model.npz import npz_bytes
from nas.model.records import record_from_json
from nas.model.result import RunSummary, model_key
from nas.model.weights import FloatWeights, Inherited, LayerWeights
from nas.report.facts import began_from_text
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, save_config
from nas.run.init_from import keep, kept, look_at, read_source
from nas.run.warm_start import refuse_other_init
from search_spaces.arch import ArchSpec
from search_spaces.choices import Choices
from search_spaces.layers import Conv, Dense, DepthwiseConv, GlobalAveragePool
from tests.nas.strategy.search_fakes import FakeEvaluator, make_driver, make_screen


def network(*widths: int, classes: int = 3) -> ArchSpec:
    """A stem and a pair of layers for each width, on pictures of 8 x 8."""
    layers: list[Any] = [Conv(inputs=(-1,), filters=4)]
    for width in widths:
        layers.append(DepthwiseConv(inputs=(len(layers) - 1,)))
        layers.append(Conv(inputs=(len(layers) - 1,), filters=width, kernel=(1, 1)))
    layers.append(GlobalAveragePool(inputs=(len(layers) - 1,)))
    layers.append(Dense(inputs=(len(layers) - 1,), units=classes, activation="NONE"))
    return ArchSpec(input_shape=(8, 8, 1), layers=tuple(layers))


def weights(*shapes: tuple[int, ...]) -> FloatWeights:
    """Layers of these kernels, filled with their number; a depthwise kernel has a last dimension of 1."""
    return FloatWeights(
        tuple(
            LayerWeights(
                kind="dense" if len(shape) == 2 else "depthwise" if shape[-1] == 1 else "conv",
                kernel=np.full(shape, number, np.float32),
            )
            for number, shape in enumerate(shapes)
        )
    )


def taken(source: FloatWeights, spec: ArchSpec) -> list[tuple[int, float]]:
    """Layers of a network that take weights, and the number of the layer that they take."""
    return [(index, float(layer.kernel.flat[0])) for index, layer in source.pairs(spec)]


STEM, HEAD = (3, 3, 1, 4), (6, 3)
SOURCE = weights(STEM, (3, 3, 4, 1), (1, 1, 4, 6), (3, 3, 6, 1), (1, 1, 6, 6), HEAD)


def test_layers_take_what_is_of_their_kind_and_shape_in_order() -> None:
    assert taken(SOURCE, network(6, 6)) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (6, 5)]
    deeper = network(6, 6, 6)
    assert taken(SOURCE, deeper) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (8, 5)], "the rest is at random"
    assert taken(SOURCE, network(6)) == [(0, 0), (1, 1), (2, 2), (4, 5)]
    assert taken(SOURCE, network(5, 6)) == [(0, 0), (1, 1), (6, 5)]
    assert taken(SOURCE, network(6, 6, classes=4)) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]


def test_where_order_allows_one_of_two_the_larger_layer_is_taken() -> None:
    source = weights((1, 1, 4, 6), STEM, HEAD)  # the stem comes behind what it comes before here
    assert taken(source, network(6)) == [(0, 1), (4, 2)]


def test_what_was_taken_is_told_in_layers_and_weights() -> None:
    known = SOURCE.taken_by(network(5, 6))
    assert known == Inherited(source=SOURCE.digest(), layers=3, of=6, share=0.4865)
    assert known.text() == "3 of 6 layers, 49 % of the weights"
    assert weights((9, 9)).taken_by(network(6)) is None


def test_weights_come_back_from_their_file_and_have_one_name() -> None:
    layers = (
        LayerWeights(
            kind="conv",
            kernel=np.ones(STEM, np.float32),
            norm=np.arange(16, dtype=np.float32).reshape(4, 4),
        ),
        LayerWeights(kind="dense", kernel=np.zeros(HEAD, np.float32), bias=np.ones(3, np.float32)),
    )
    again = FloatWeights.from_npz(FloatWeights(layers).to_npz())
    assert [(one.kind, one.bias is None, one.norm is None) for one in again.layers] == [
        ("conv", True, False),
        ("dense", False, True),
    ]
    assert again.digest() == FloatWeights(layers).digest() != SOURCE.digest()


# -- .keras files

Layer = tuple[str, str, list[Any]]  # class, name, arrays or the layers of a model


def keras_file(path: Path, layers: list[Layer], **changes: bytes | None) -> Path:
    """A file as `model.save` of Keras lays it out."""

    def fill(group: Any, layers: list[Layer]) -> list[dict[str, Any]]:
        counts: dict[str, int] = {}
        told = []
        for kind, name, held in layers:
            base = {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "Conv1D": "conv1d"}.get(
                kind, "batch_normalization" if kind == "BatchNormalization" else kind.lower()
            )
            number = counts[base] = counts.get(base, -1) + 1
            inner = group.create_group(f"layers/{base}_{number}" if number else f"layers/{base}")
            config: dict[str, Any] = {"name": name}
            if kind == "Sequential":
                config["layers"] = fill(inner, held)
            else:
                held_in = inner.create_group("vars")
                for place, array in enumerate(held):
                    held_in[str(place)] = array
            told.append({"class_name": kind, "config": config})
        return told

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        told = fill(file, layers)
    config = json.dumps({"class_name": "Sequential", "config": {"name": "model", "layers": told}})
    members = {"config.json": config.encode(), "model.weights.h5": stream.getvalue()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            given = changes.get(name.split(".")[0], content)
            if given is not None:
                archive.writestr(name, given)
    return path


def full(*shape: int, value: float = 1.0) -> np.ndarray[Any, Any]:
    return np.full(shape, value, np.float32)


NORM = [full(4, value=value) for value in (1, 2, 3, 4)]


def test_a_keras_file_gives_its_layers_in_the_order_of_its_configuration(tmp_path: Path) -> None:
    inner: list[Layer] = [("Conv2D", "b", [full(1, 1, 4, 4, value=5), full(4)])]
    path = keras_file(
        tmp_path / "model.keras",
        [
            ("Conv2D", "z", [full(*STEM)]),
            ("BatchNormalization", "y", NORM),
            ("Lambda", "x", []),
            ("DepthwiseConv2D", "w", [full(3, 3, 4, 1), full(4)]),
            ("Sequential", "v", inner),
            ("Conv1D", "u", [full(5, 4, 4), full(4)]),
            ("Conv2D", "a", [full(1, 1, 4, 4, value=6), full(4)]),
            ("Dense", "t", [full(4, 3), full(3)]),
        ],
    )
    layers = read_source(str(path)).layers
    assert [(one.kind, one.kernel.shape) for one in layers] == [
        ("conv", STEM),
        ("depthwise", (3, 3, 4, 1)),
        ("conv", (1, 1, 4, 4)),
        ("conv", (5, 1, 4, 4)),
        ("conv", (1, 1, 4, 4)),
        ("dense", (4, 3)),
    ]
    assert layers[0].norm is not None
    assert layers[0].norm[:, 0].tolist() == [1, 2, 3, 4]
    assert layers[0].bias is None
    assert layers[1].bias is not None
    assert [float(layers[at].kernel.flat[0]) for at in (2, 4)] == [5, 6]


@pytest.mark.slow
@pytest.mark.parametrize("keras", ["tf_keras", "keras"])
def test_both_versions_of_keras_write_files_that_are_read(keras: str, tmp_path: Path) -> None:
    library = pytest.importorskip(keras)
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            library.Sequential([layers.Input((6, 6, 4)), layers.SeparableConv2D(5, 3)]),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.save(tmp_path / "model.keras")
    first, depthwise, pointwise, last = read_source(str(tmp_path / "model.keras")).layers
    written = [np.asarray(one) for one in model.get_weights()]
    read = [first.kernel, *np.asarray(first.norm), depthwise.kernel, pointwise.kernel, pointwise.bias]
    by_shape = {one.shape: one for one in written if one.ndim > 1}
    for kernel in (first.kernel, depthwise.kernel, pointwise.kernel, last.kernel):
        assert (by_shape[kernel.shape] == kernel).all()
    assert first.norm is not None
    assert first.norm[:, 0].tolist() == [1, 0, 0, 1]
    assert sum(np.size(one) for one in read) + last.kernel.size + 3 == sum(one.size for one in written)


def chunked() -> bytes:
    """Arrays that unpack to far more than they take."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("layers/dense/vars/0", (4000, 4000), np.float32, chunks=True, fillvalue=1)
    return stream.getvalue()


def elsewhere() -> bytes:
    """Arrays of another file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/other.h5", "/a")
    return stream.getvalue()


DENSE: list[Layer] = [("Dense", "d", [full(4, 3), full(3)])]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"GIF89a"), "it is not a zip archive, or damaged"),
        (lambda path: keras_file(path, DENSE, model=None), "it holds no model.weights.h5"),
        (lambda path: keras_file(path, DENSE, config=None), "it holds no config.json"),
        (lambda path: keras_file(path, DENSE, config=b"["), "its layers or weights cannot be read"),
        (lambda path: keras_file(path, DENSE, model=b"\x89HDF"), "its layers or weights cannot be read"),
        (lambda path: keras_file(path, DENSE, model=chunked()), "its weights are not where Keras writes them"),
        (lambda path: keras_file(path, DENSE, model=elsewhere()), "its weights are not where Keras writes them"),
        (
            lambda path: keras_file(path, [("Dense", "d", [full(4, 3, value=np.nan)])]),
            "it holds weights that are not finite",
        ),
        (lambda path: keras_file(path, [("Dense", "d", [full(4)])]), "the kernel of a Dense has 1 dimensions"),
        (
            lambda path: keras_file(path, [("Dropout", "d", [])]),
            "it holds no weights of convolutions or dense layers",
        ),
        (
            lambda path: keras_file(path, [("Dense", "d", [full(4000, 3000)])]),
            "it has more than 32 MB of weights",
        ),
    ],
)  # fmt: skip
def test_files_that_are_a_little_wrong_get_a_sentence(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.keras"
    make(path)
    with pytest.raises(UserError) as error:
        read_source(str(path))
    assert str(error.value) == (
        f"{path} cannot be taken as weights: {reason}. --init-from takes the folder of an earlier run, or a .keras"
        " file that model.save wrote."
    )


def test_a_file_that_unpacks_to_more_than_a_model_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.run.keras_file.LARGEST_FILE_BYTES", 1 << 20)
    path = keras_file(tmp_path / "model.keras", DENSE, model=bytes(2 << 20))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(UserError, match="it unpacks to more than 1 MB"):
        read_source(str(path))


@pytest.mark.parametrize(
    "arrays",
    [
        {"kernel": full(3)},
        {"0000.conv.kernel": full(3)},
        {"0000.dense.bias": full(3)},
        {"0000.dense.kernel": full(4, 3), "0000.dense.bias": full(4)},
        {"0000.dense.kernel": np.ones((4, 3))},
    ],
)
def test_an_npz_of_something_else_is_not_taken_for_weights(arrays: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(npz_bytes(arrays))
    with pytest.raises(UserError, match="it does not hold the weights of a network"):
        read_source(str(tmp_path / "w.npz"))


def test_an_npz_with_objects_is_not_unpickled(tmp_path: Path) -> None:
    objects = np.empty(1, object)
    objects[0] = print
    np.savez(tmp_path / "w.npz", a=objects)
    with pytest.raises(UserError, match="an array in it cannot be read"):
        read_source(str(tmp_path / "w.npz"))


# -- runs


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run whose chosen model is trial 0, with its float weights."""
    folder = RunFolder(path=tmp_path / "run")
    folder.path.mkdir()
    save_config(folder, RunConfig(seed=1), "digest")
    content = SOURCE.to_npz()
    folder.save_weights(model_key("abcdef", 500), content)
    trial = {
        "number": 0,
        "digest": "abcdef",
        "state": "evaluated",
        "rung": "full",
        "params": {},
        "steps": 500,
        "accuracy": 0.75,
        "weights_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_result(folder, trial)
    return folder


def write_result(folder: RunFolder, trial: dict[str, Any], chosen: bool = True) -> None:
    result = {"trials": [trial], "front": [0], "chosen": {"number": 0} if chosen else None}
    folder.result_file.write_text(json.dumps(result))


def test_a_run_gives_the_weights_of_its_chosen_model(run: RunFolder) -> None:
    assert read_source(str(run.path)).digest() == SOURCE.digest()
    assert read_source(str(run.weights / "abcdef-500.npz")).digest() == SOURCE.digest()


def test_runs_without_weights_get_a_sentence(run: RunFolder, tmp_path: Path) -> None:
    trial = json.loads(run.result_file.read_text())["trials"][0]

    def refused(path: Path = run.path) -> str:
        with pytest.raises(UserError) as error:
            read_source(str(path))
        return str(error.value)

    (run.weights / "abcdef-500.npz").write_bytes(weights(STEM).to_npz())
    assert "of trial 0 in" in refused()
    assert "are not those that were trained: their hash differs." in refused()
    (run.weights / "abcdef-500.npz").unlink()
    assert f"The float weights of trial 0 are not in {run.path}." in refused()
    write_result(run, trial | {"weights_sha256": None})
    assert refused().startswith(f"The run {run.path} kept no float weights of its chosen model.")
    write_result(run, trial, chosen=False)
    assert refused().startswith(f"The run {run.path} chose no model")
    run.result_file.unlink()
    assert refused() == f"{run.path} has no result yet. Let it end first: --resume {run.path}."
    assert refused(tmp_path).startswith(f"{tmp_path} is not a run.")
    assert refused(tmp_path / "none").startswith(f"There is no {tmp_path / 'none'}.")


def test_what_a_run_began_with_is_kept_in_it_and_checked(run: RunFolder) -> None:
    keep(run, SOURCE)
    assert kept(run, SOURCE.digest()).digest() == SOURCE.digest()
    for digest in ("other", None):
        with pytest.raises(UserError, match=r"init\.npz is not what the run's trainings began with\."):
            kept(run, digest)


def test_a_source_that_no_network_matches_is_refused() -> None:
    screen = make_screen()
    networks = [screen(Choices(rng=np.random.default_rng(seed))) for seed in range(5)]
    with pytest.raises(UserError) as error:
        look_at("a.keras", weights((9, 9)), networks)
    assert str(error.value) == (
        "No layer of a.keras has the kind and shape of a layer of the 5 networks that were looked at. Take a source of"
        " the same --space and of samples of the same shape, or leave --init-from out."
    )
    spec = networks[0].candidate.wide
    first = next(layer for layer in spec.layers if isinstance(layer, Conv))
    source = weights((*first.kernel, 1, first.filters))
    text = look_at("a.keras", source, networks[:1]).text()
    assert text.startswith(
        "networks begin with the weights of a.keras (1 layers) where kind, order and shape of layers match:"
        " 1 of 1 networks that fit take some of it, half of them"
    )


# -- searches


def test_a_search_names_the_weights_that_its_trainings_begin_with(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, models = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=8)
    first = screen(evaluate_params(screen)).candidate.wide.layers[0]
    assert isinstance(first, Conv)
    source = driver.init = weights((*first.kernel, 1, first.filters))
    driver.search()
    records = [one for one in driver.records() if one.state == "evaluated"]
    began = [one for one in records if one.init is not None]
    assert 0 < len(began) < len(records), "networks of another stem begin at random"
    for one in records:
        assert (f"-from-{source.digest()[:8]}" in one.model_key) == (one.init is not None)
        assert record_from_json(json.loads(json.dumps(one.to_json()))) == one
    assert set(models) == {one.model_key for one in records}
    asked = {(tuple(one.params.items()), one.steps): one.init for one in evaluate.requests}
    for one in records:
        assert asked[tuple(one.params.items()), one.steps] == (one.init and source.digest())


def evaluate_params(screen: Any) -> Choices:
    """Choices of a network."""
    return Choices(rng=np.random.default_rng(3))


def test_float_weights_of_a_training_are_kept_under_the_name_of_its_model(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(
        tmp_path,
        evaluate=lambda request: replace(evaluate(request), weights=b"w" if request.full else None),  # type: ignore[arg-type]
        screen=screen,
    )
    kept_weights: dict[str, bytes] = {}
    driver.save_weights = kept_weights.__setitem__
    driver.search()
    driver.train_finalists()
    full_trainings = [one for one in driver.records() if one.full]
    assert set(kept_weights) == {one.model_key for one in full_trainings}
    assert {one.weights_sha256 for one in full_trainings} == {hashlib.sha256(b"w").hexdigest()}


def test_a_warm_start_learns_nothing_from_trainings_that_began_otherwise(run: RunFolder) -> None:
    refuse_other_init(str(run.path), None)
    with pytest.raises(UserError) as error:
        refuse_other_init(str(run.path), "abc")
    assert str(error.value) == (
        f"{run.path} began its trainings with random weights, so that its errors are not those that networks would"
        " have here. Leave --warm-start out, or begin as it did: without --init-from."
    )
    save_config(run, RunConfig(seed=1), "digest", "abc")
    refuse_other_init(str(run.path), "abc")
    with pytest.raises(
        UserError, match=r"began its trainings with other weights.*with the same --init-from\."
    ):
        refuse_other_init(str(run.path), None)


def test_the_verdict_says_what_the_chosen_model_began_with() -> None:
    trial = {"number": 0, "state": "evaluated", "steps": 500, "digest": "abc", "params": {}}
    init = {"source": "0123456789abcdef", "layers": 9, "of": 14, "share": 0.71}

    def text(**changes: Any) -> str:
        content = {"trials": [trial | changes], "front": [0], "chosen": {"number": 0}}
        return began_from_text(RunSummary.model_validate(content | {"config": {"init_from": "runs/a"}}))

    assert text(init=init) == "9 of 14 layers, 71 % of the weights from runs/a, the rest at random"
    assert text() == "random weights: no layer of runs/a matches"
