"""Ray's workers on bad days: they die, throw and hang, and every request is answered once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.execute import EvaluatorSpec, Executor
from nas.execute.inline import InlineExecutor
from nas.model.evaluation import Failed, Request
from nas.testing import answers, check_executor

pytestmark = pytest.mark.slow


def ask(number: int, what: str) -> Request:
    return Request(
        number=number, space="none", params={"do": what}, steps=1, full=False, seed=0, sparsity=0.0
    )


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    from nas.execute.ray_workers import RayExecutor

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the workers find ray_fakes

    made = RayExecutor(
        spec=EvaluatorSpec(
            factory="ray_fakes:make", settings={"folder": str(tmp_path)}, variables={"ASKED_FOR": "yes"}
        ),
        shared={"payload": "data"},
        workers=2,
        address=None,
        trial_timeout=8.0,
        files={"my/space.py": b"SPACE = 1"},
        memory_bytes=500 << 20,
    )
    yield made
    made.close()


def test_workers_that_die_throw_or_hang_are_replaced_and_each_request_is_answered_once(
    executor: Executor, tmp_path: Path
) -> None:
    queue = [ask(i, what) for i, what in enumerate(["work", "die", "throw", "work", "hang", "work", "work"])]
    answered = answers(executor, queue)
    reasons = {number: done.evaluation for number, done in answered.items()}
    assert len(reasons) == 7
    for number in (0, 3, 5, 6):
        assert reasons[number] == Failed(stage="worker", reason="did work on data", retryable=False)
    assert reasons[1] == Failed(stage="worker", reason="the worker process died", retryable=True)
    raised = reasons[2]
    assert isinstance(raised, Failed)
    assert replace(raised, trace="") == Failed(
        stage="worker", reason="RuntimeError: no luck", retryable=False
    )
    assert raised.trace.rstrip().endswith("RuntimeError: no luck")
    assert reasons[4] == Failed(stage="worker", reason="no answer within 8 s", retryable=False)
    assert all(len(Path(tmp_path, str(number)).read_text().split()) == 1 for number in range(7))


def test_workers_that_eat_memory_or_answer_nonsense_cost_their_trial_only(executor: Executor) -> None:
    tasks = ["eat", "eat and swallow", "answer nonsense", "say variables", "read the space"]
    requests = [replace(ask(i, what), space="my/space.py") for i, what in enumerate(tasks)]
    evaluations = {number: done.evaluation for number, done in answers(executor, requests).items()}
    read = evaluations.pop(4)
    assert isinstance(read, Failed)
    path, content = read.reason.split(": ")
    assert content == "SPACE = 1"
    assert not Path(path).parent.exists()  # the worker's copy went with the request
    assert evaluations == {
        0: Failed(stage="worker", reason="out of memory, the limit of a worker is 500 MiB", retryable=True),
        1: Failed(stage="worker", reason="the worker process died", retryable=True),
        2: Failed(stage="worker", reason="the evaluator returned str", retryable=False),
        3: Failed(
            stage="worker",
            reason="TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=-1"
            " ASKED_FOR=yes",
            retryable=False,
        ),
    }


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.execute.ray_workers import RayExecutor

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    executor = RayExecutor(
        spec=EvaluatorSpec(factory="ray_fakes:make", settings={"no": "such setting"}),
        shared={},
        workers=1,
        address=None,
        trial_timeout=8.0,
    )
    try:
        evaluation = answers(executor, [ask(0, "work")])[0].evaluation
    finally:
        executor.close()
    assert isinstance(evaluation, Failed)
    assert evaluation.retryable
    assert "unexpected keyword argument 'no'" in evaluation.reason


def test_gpus_that_are_not_there_are_a_mistake() -> None:
    from nas.execute.ray_workers import RayExecutor

    spec = EvaluatorSpec(factory="ray_fakes:make")
    with pytest.raises(UserError, match=r"--gpus-per-trial is 0\.5, and there are 0 GPUs\. Leave it out"):
        RayExecutor(spec=spec, shared={}, workers=1, address=None, trial_timeout=8.0, gpus=0.5)


def test_one_and_a_half_gpus_are_a_mistake() -> None:
    from nas.execute.ray_workers import RayExecutor

    spec = EvaluatorSpec(factory="ray_fakes:make")
    with pytest.raises(
        UserError, match=r"--gpus-per-trial is 1\.5\. Give a whole number, or a share below 1\."
    ):
        RayExecutor(spec=spec, shared={}, workers=1, address=None, trial_timeout=8.0, gpus=1.5)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "The Ray cluster 127.0.0.1:1 cannot be reached"),
        ("ray://127.0.0.1:1", "The Ray cluster ray://127.0.0.1:1 cannot be reached"),
        ("127.0.0.1:many", "The Ray cluster 127.0.0.1:many cannot be reached"),
        ("head", "'head' is not an address of a Ray cluster"),
    ],
)
def test_a_cluster_that_does_not_answer_is_one_sentence(address: str, message: str) -> None:
    from nas.execute.ray_cluster import connect

    with pytest.raises(UserError, match=re.escape(message)):
        connect(address, 1)


def test_no_cluster_where_auto_looks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from nas.execute.ray_cluster import connect

    def none(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify one.")

    monkeypatch.setattr(ray, "init", none)  # this machine may have one that is not ours
    with pytest.raises(UserError, match=r"^The Ray cluster auto cannot be reached \(Could not find [^\n]+$"):
        connect("auto", 1)


def test_rays_executor_keeps_the_contract() -> None:
    from nas.execute.ray_workers import RayExecutor

    check_executor(
        lambda spec: RayExecutor(spec=spec, shared={}, workers=2, address=None, trial_timeout=30.0)
    )


def test_the_inline_executor_answers_in_the_order_asked() -> None:
    executor = InlineExecutor(
        lambda request: Failed(stage="worker", reason=str(request.number), retryable=False), 2
    )
    for number in (3, 1):
        executor.submit(ask(number, "work"))
    evaluations = [done.evaluation for _ in range(3) for done in executor.wait(0)]
    assert [evaluation.reason for evaluation in evaluations if isinstance(evaluation, Failed)] == ["3", "1"]
    assert len(evaluations) == 2
