"""A data set in memory: checked, split, scaled, and ready for the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError, did_you_mean
from nas.model.metrics import (
    ANOMALY_METRICS,
    CLASS_METRICS,
    METRICS,
    NUMBER_METRICS,
    Metric,
    metric_for,
    robust_metric,
)
from nas.model.policy import AskedMetricName
from nas.model.regression import TargetScale
from nas.model.trained import FrontEndSpec, Preprocess, TaskInfo
from nas.model.words import counted
from nas.tasks.loading import PARTS
from nas.tasks.loading.anomalies import centred, sort_out
from nas.tasks.loading.array_like import as_labels, as_samples
from nas.tasks.loading.groups import check_groups
from nas.tasks.loading.kinds import check_shape, take
from nas.tasks.loading.labels import clean_labels, index_labels
from nas.tasks.loading.mapped import chunks, converted
from nas.tasks.loading.motion import Disturbed, disturbed
from nas.tasks.loading.raw_type import check_scales, check_values, common_raw_type
from nas.tasks.loading.report import DataReport, make_report
from nas.tasks.loading.scaling import fit_scaling
from nas.tasks.loading.spectra import spectra
from nas.tasks.loading.targets import clean_numbers, predicts_numbers, scale_numbers
from nas.tasks.options import InputKind, TaskOptions

Array = NDArray[np.generic]

# The bytes of features are the network's input as they are, however large the largest is.
_FEATURES, _FEATURE_RANGE = Preprocess(raw_type="uint8", offset=(0.0,), scale=(1.0 / 255.0,)), (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Raw samples and labels by part, with the scaling that makes them model inputs.

    Attributes:
        info: Names, shapes, scaling, provenance.
        samples: Raw samples by part. Shape: (n, *info.input_shape), dtype `info.preprocess.raw_type`.
        labels: Class indices by part, int64; or numbers to predict, float64. Shape: (n,) or (n, k).
        input_range: Real-valued range of the input quantization; what lies outside saturates.
        report: What the data hold, and what was guessed or left out.
        golden_recordings: Recordings of the test part that a front end's self-test replays. Shape: (k, samples), or
            (k, samples, channels).
        disturbed: What training does to samples besides its recipe, as the user asks.
        groups: The subject (person, machine, recording) of each sample by part, where it is known. Shape: (n,).
        recordings: The recording that each sample was cut from by part, where samples of one overlap. Shape: (n,).
        behind: The same data behind each front end that the search may choose, by name; this is the first of them.
        validation_versions: Validation samples in as many versions as training samples are there in, for a network that
            is trained on both; None where there are no versions. Shape: (n * versions, *info.input_shape).
    """

    info: TaskInfo
    samples: dict[str, Array]
    labels: dict[str, NDArray[Any]]
    input_range: tuple[float, float]
    report: DataReport
    golden_recordings: NDArray[np.int16] | None = None
    disturbed: Disturbed = field(default_factory=Disturbed)
    groups: Mapping[str, Array] = field(default_factory=dict)
    recordings: Mapping[str, Array] = field(default_factory=dict)
    behind: dict[str, Dataset] = field(default_factory=dict)
    validation_versions: Array | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on all that was guessed, left out, resized or is doubtful."""
        return self.report.notes

    def inputs(self, raw: Array | str) -> NDArray[np.float32]:
        """Real-valued model inputs, saturated like the device's int8 input. Shape: that of the raw samples.

        Args:
            raw: Raw samples, or the name of a part, for all of its samples.
        """
        if isinstance(raw, str):
            raw = self.samples[raw]
        return np.clip(self.info.preprocess.apply(raw), *self.input_range)

    def judged_by(self, metric: AskedMetricName | Literal["auto"], *, robust: bool = False) -> Dataset:
        """The same data, to be searched by a metric.

        Args:
            metric: Its name; "auto" takes one by how even the classes are, and notes it.
            robust: Whether disturbed samples count as well, and training disturbs samples.

        Raises:
            UserError: A metric of classes for anomalies, or the other way round; or `robust` where there are no
                classes, or no samples as a sensor reads them.
        """
        judged = self._judged_by(metric)
        return judged._robust() if robust else judged

    def _robust(self) -> Dataset:
        if self.info.frontend is not None or self.behind:
            raise UserError(
                "--robust is of no use behind a front end: sensors disturb recordings, and the networks are given"
                " features of them.",
                "Leave it out; --augment makes audio:FOLDER train on disturbed recordings.",
            )
        if self.info.false_alarms is not None or self.info.targets:
            raise UserError(
                "--robust is for classes: a disturbed sample may be an anomaly, or stand for another number.",
                "Leave it out; of numbers the chosen model is measured on disturbed samples all the same.",
            )
        metric = robust_metric(self.info.metric)
        note = (
            f"--robust: the search goes by the mean of the {METRICS[self.info.metric].label} on samples as they are and"
            " on the same with noise, another gain, an offset or lost readings, and training disturbs half of the"
            " samples so."
        )
        return replace(
            self,
            info=replace(self.info, metric=metric),
            disturbed=replace(self.disturbed, robust=True),
            report=replace(self.report, notes=(*self.report.notes, note)),
        )

    def _judged_by(self, metric: AskedMetricName | Literal["auto"]) -> Dataset:
        note = ""
        classes = {name: row for name, row in CLASS_METRICS.items() if not row.robust}
        fitting: Mapping[str, Metric] = classes if self.info.false_alarms is None else ANOMALY_METRICS
        if self.info.targets:
            fitting = NUMBER_METRICS
        if metric != "auto" and metric not in fitting:
            kinds: dict[str, Mapping[str, Metric]] = {
                "classes": classes,
                "anomalies": ANOMALY_METRICS,
                "numbers": NUMBER_METRICS,
            }
            kind = next(kind for kind, rows in kinds.items() if metric in rows)
            normal = "; --normal CLASS makes it one of anomalies" if fitting is classes else ""
            raise UserError(
                f"--metric {metric} is of {kind}.",
                f"This data set is searched by {' or '.join(fitting)}{normal}.",
            )
        if metric == "auto" and self.info.targets:
            metric = "rmse"
            note = (
                "y holds numbers: they are predicted, and the search goes by RMSE (--metric rmse, mae or r2)."
            )
        elif metric == "auto" and self.info.false_alarms is not None:
            metric = "auc"
        elif metric == "auto":
            counts = np.bincount(self.labels["train"], minlength=len(self.info.class_names))
            metric, note = metric_for(counts.tolist())
        report = replace(self.report, notes=(*self.report.notes, *([note] if note else [])))
        behind = {
            name: replace(each, info=replace(each.info, metric=metric)) for name, each in self.behind.items()
        }
        return replace(self, info=replace(self.info, metric=metric), report=report, behind=behind)

    def among(self, names: Sequence[str], notes: Sequence[str]) -> Dataset:
        """The same data with some of its front ends to choose from.

        Args:
            names: Of those that are left, in order.
            notes: What there is to say of the others.
        """
        behind = {name: self.behind[name] for name in names}
        first = behind[names[0]]
        report = replace(first.report, notes=(*first.report.notes, *notes))
        return replace(first, report=report, behind=behind)

    def all_for_training(self) -> tuple[Array, NDArray[Any]]:
        """Training and validation samples with their labels, for a network that nothing will be validated by."""
        samples, labels = self.samples["val"], self.labels["val"]
        if self.validation_versions is not None:
            samples = self.validation_versions
            labels = np.repeat(labels, len(samples) // len(labels), axis=0)
        return np.concatenate([self.samples["train"], samples]), np.concatenate(
            [self.labels["train"], labels]
        )

    def class_weights(self) -> NDArray[np.float32] | None:
        """The weight of a training sample of each class; None for alike. Shape: (classes,)."""
        if not METRICS[self.info.metric].balances:
            return None
        counts = np.bincount(self.labels["train"], minlength=len(self.info.class_names))
        return np.asarray(counts.sum() / (len(counts) * counts), np.float32)

    def digest(self) -> str:
        """Hash of the content, to tell whether a resumed run still sees the same data."""
        digest = hashlib.sha256()
        for part in PARTS:
            for chunk in chunks(self.samples[part]):
                digest.update(np.ascontiguousarray(chunk).data)
            digest.update(np.ascontiguousarray(self.labels[part]).data)
        for name, data in self.behind.items():
            digest.update(f"{name}:{data.digest()}".encode())
        return digest.hexdigest()


def make_dataset(
    *,
    name: str,
    samples: Mapping[str, Array],
    labels: Mapping[str, Array],
    class_names: tuple[str, ...] | None = None,
    target_names: tuple[str, ...] | None = None,
    source: str = "",
    licence: str = "",
    groups: Mapping[str, Array] | None = None,
    input_kind: InputKind = "auto",
    notes: Sequence[str] = (),
    options: TaskOptions | None = None,
    sample_rate: float | None = None,
    channel_names: Sequence[str] | None = None,
    frontend: FrontEndSpec | None = None,
    golden_recordings: NDArray[np.int16] | None = None,
) -> Dataset:
    """Checks the arrays of the three parts and fits the scaling on the training part alone.

    Args:
        name: The task's name in messages and manifests.
        samples: Arrays by part. Shape: (n, features), (n, time, channels), (n, h, w) or (n, h, w, c).
        labels: Class index or class name of each sample, or numbers to predict, by part. Shape: (n,) or (n, k).
        class_names: Names by index; taken from the labels when None.
        target_names: Names of the numbers to predict; None calls them y.
        source: Where the data come from.
        licence: The licence of the data.
        groups: Subjects of the samples by part; the metric of each is told. Shape: (n,).
        input_kind: What the axes of the samples are.
        notes: What the loading has to say of the data.
        options: What the user says of the data; `normal` and `false_alarms` make it a set of anomalies, and with
            `front_end` "spectrum" the samples are recordings, of which the front end makes what a network is given.
        sample_rate: Of signals in Hz, where it is known.
        channel_names: Of signals, for what the options say of channels.
        frontend: What made the samples, where they are features already.
        golden_recordings: Recordings of the test part, for its self-test.

    Raises:
        UserError: NaNs, shapes that do not agree, labels out of range, fewer than two classes, parts in different
            units, or values that float32 cannot hold.
    """
    samples, labels = _whole(samples, f"{name}: X", as_samples), _whole(labels, f"{name}: y", as_labels)
    groups = (
        None
        if groups is None
        else {part: as_labels(array, f"{name}: groups") for part, array in groups.items()}
    )
    for part in PARTS:
        check_values(samples[part], f"{name}: X_{part}")
        check_shape(samples[part], input_kind, f"{name}: X_{part}")
        if samples[part].shape[1:] != samples["train"].shape[1:]:
            raise UserError(
                f"{name}: X_{part} has samples of shape {samples[part].shape[1:]}, but X_train has"
                f" {samples['train'].shape[1:]}.",
                "All three parts need samples of one shape.",
            )
    taken = take({part: samples[part] for part in PARTS}, input_kind)
    arrays = taken.samples
    normal = None if options is None else options.normal
    numbers = predicts_numbers(options, [labels[part] for part in PARTS])
    said: list[str] = []
    indices: dict[str, NDArray[Any]]
    names: tuple[str, ...] = ()
    targets: tuple[TargetScale, ...] = ()
    if numbers:
        indices = {part: clean_numbers(labels[part], f"{name}: y_{part}") for part in PARTS}
        check_counts(name, arrays, indices)
        _refuse_classes(name, normal, class_names)
        targets, said = scale_numbers(indices, target_names, name)
    else:
        cleaned = {part: clean_labels(labels[part], f"{name}: y_{part}") for part in PARTS}
        indices, names = index_labels(cleaned, class_names, name)
        check_counts(name, arrays, indices)
        if target_names is not None:
            said = ["target_names is not used: y holds classes."]
    if groups is not None:
        groups = {part: check_groups(array, len(indices[part]), name) for part, array in groups.items()}
    if not numbers and normal is None:
        _check_classes(name, indices["train"], names)
    doubts = check_scales(arrays, name)
    disturbance, disturbed_notes = disturbed(options, arrays["train"].shape[1:], channel_names)
    said += disturbed_notes
    if frontend is None and options is not None and options.front_end == "spectrum":
        behind = spectra(arrays, indices, sample_rate=sample_rate, options=options, name=name)
        arrays, frontend, golden_recordings = behind.samples, behind.spec, behind.recordings
        notes = [*notes, *behind.notes]
    if normal is not None:
        arrays, indices, names, groups, told = sort_out(arrays, indices, names, normal, groups, name)
        said += told
    raw_type = common_raw_type(arrays)
    scaling = fit_scaling(arrays, raw_type, name)
    if normal is not None and raw_type == "uint8":
        preprocess, input_range = centred(scaling.preprocess, arrays["train"])
        scaling = replace(scaling, preprocess=preprocess, input_range=input_range)
    elif frontend is not None:
        scaling = replace(scaling, preprocess=_FEATURES, input_range=_FEATURE_RANGE)
    raw = {part: converted(arrays[part], np.dtype(raw_type)) for part in PARTS}
    info = TaskInfo(
        name=name,
        input_shape=tuple(int(n) for n in arrays["train"].shape[1:]),
        class_names=names,
        preprocess=scaling.preprocess,
        source=source,
        licence=licence,
        samples={part: len(raw[part]) for part in PARTS},
        frontend=frontend,
        false_alarms=None if options is None or normal is None else options.false_alarms,
        targets=targets,
    )
    report = make_report(
        taken_as=taken.text if frontend is None else _features_text(frontend),
        samples=raw,
        labels=indices,
        class_names=names,
        targets=targets,
        preprocess=scaling.preprocess,
        input_range=scaling.input_range,
        constant=scaling.constant,
        levels=scaling.levels,
        groups=groups,
        notes=[
            *notes,
            *([taken.note] if taken.note else []),
            *([] if numbers else label_notes(labels)),
            *_threshold_notes(indices["val"], info.false_alarms),
            *said,
            *doubts,
            *scaling.notes,
        ],
    )
    return Dataset(
        info=info,
        samples=raw,
        labels=indices,
        input_range=scaling.input_range,
        report=report,
        golden_recordings=golden_recordings,
        disturbed=disturbance,
        groups=groups or {},
    )


def _whole(
    arrays: Mapping[str, Array], what: str, as_array: Callable[[Array, str], Array]
) -> dict[str, Array]:
    """Arrays of all three parts, of whatever a task hands over.

    Raises:
        UserError: A part is missing, or not an array.
    """
    if missing := [part for part in PARTS if part not in arrays]:
        raise UserError(
            f"{what}_{missing[0]} is missing.",
            "Give samples and labels of train, val and test; split_parts splits samples of one heap.",
        )
    return {part: as_array(arrays[part], f"{what}_{part}") for part in PARTS}


def _refuse_classes(name: str, normal: str | None, class_names: tuple[str, ...] | None) -> None:
    """What is of classes does not go with numbers to predict."""
    if normal is not None:
        raise UserError(
            f"{name}: y holds numbers to predict, and --normal names a class.", "Leave one of the two out."
        )
    if class_names is not None:
        raise UserError(
            f"{name} has classes, but numbers are to be predicted: --metric rmse, mae or r2 says so, or labels that are"
            " mostly fractions.",
            "Leave the metric or the class names out.",
        )


def _features_text(spec: FrontEndSpec) -> str:
    channels = "" if spec.channels == 1 else f", {spec.channels} channels"
    return f"features of {counted(spec.frames, 'frame')}, {spec.bands} bands{channels}"


def check_counts(name: str, samples: Mapping[str, Array], labels: Mapping[str, Array]) -> None:
    """Refuses parts without samples, or with more or fewer labels than samples.

    Raises:
        UserError: Such a part.
    """
    for part in PARTS:
        if len(samples[part]) != len(labels[part]):
            raise UserError(
                f"{name}: X_{part} has {len(samples[part])} samples but y_{part} has {len(labels[part])} labels.",
                "Each sample needs one label.",
            )
        if len(samples[part]) == 0:
            raise UserError(f"{name}: the {part} part is empty.", "Each part needs samples.")


def _check_classes(name: str, train: NDArray[np.int64], names: tuple[str, ...]) -> None:
    present = np.unique(train)
    if len(present) < 2:
        raise UserError(
            f"{name}: the training part holds one class only ({names[int(present[0])]}).",
            "A classifier needs samples of at least two classes; to find anomalies, name the normal class:"
            f" --normal {names[int(present[0])]}.",
        )
    if len(present) < len(names):
        missing = sorted(set(range(len(names))) - set(present.tolist()))
        lacking = names[missing[0]]
        alike = did_you_mean(lacking, [names[at] for at in present.tolist()])
        hint = "class indices count from 0." if lacking.isdigit() else f"or is it spelt otherwise? {alike}"
        raise UserError(
            f"{name}: class {lacking} has no training sample.", f"Add samples or remove the class; {hint}"
        )


def _threshold_notes(labels: Array, false_alarms: float | None) -> list[str]:
    normal = int((labels == 0).sum())
    if false_alarms is None or normal * false_alarms >= 1:
        return []
    return [
        f"{normal} normal validation samples cannot tell a share of {100 * false_alarms:g} % of false alarms:"
        " the threshold will be their highest score."
    ]


def label_notes(labels: Mapping[str, Array]) -> list[str]:
    """A word about labels of classes that are floats."""
    floats = [f"y_{part}" for part in labels if labels[part].dtype.kind == "f"]
    return [f"{', '.join(floats)}: floats of whole numbers, taken as class indices."] if floats else []
