"""The contract of an executor: each request is answered once, with its own evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.testing.sentences import fail, reason, require

if TYPE_CHECKING:
    from nas.execute import Done, Evaluate, EvaluatorSpec, Executor
    from nas.model.evaluation import Request

_PATIENCE_SECONDS = 120.0  # Ray takes some to start


def make_echo(*, word: str = "") -> Evaluate:
    """The evaluator of `check_executor`: answers each request with its number, after as long as it says."""
    from nas.model.evaluation import Failed

    def evaluate(request: Request) -> Failed:
        time.sleep(request.params.get("seconds", 0.0))
        return Failed(stage="worker", reason=f"{word} {request.number}", retryable=False)

    return evaluate


def check_executor(executor_factory: Callable[[EvaluatorSpec], Executor]) -> None:
    """Has an executor evaluate: each request is answered once and with its own evaluation, and none after `abandon`.

    Args:
        executor_factory: Makes an executor for what evaluates; workers must be able to import `nas`.

    Raises:
        AssertionError: The executor breaks its contract.
    """
    from nas.execute import EvaluatorSpec

    executor = executor_factory(
        EvaluatorSpec(factory="nas.testing.executors:make_echo", settings={"word": "echo"})
    )
    try:
        began = time.monotonic()
        require(not executor.wait(0.01), "The executor answers before it is asked.")
        require(time.monotonic() - began < 10, "The executor waits far longer than it is told to.")
        answered = answers(executor, [_request(number, 0.01 * (number % 3)) for number in range(7)])
        require(executor.up, "The executor is not up, although it answered.")
        for number, done in answered.items():
            require(
                getattr(done.evaluation, "reason", "") == f"echo {number}",
                f"The executor answers request {number} with {done.evaluation}, which is not its evaluation.",
            )
            require(
                isinstance(done.worker, str) and done.waited >= 0,
                f"The executor does not say who answered request {number}, or when.",
            )
        for number in range(100, 100 + executor.slots):
            executor.submit(_request(number, 0.5))
        executor.abandon()
        answers(executor, [_request(number) for number in range(200, 203)])
        late = executor.wait(1.0)
        require(
            not late, f"The executor answers request {late[0].request.number if late else 0} once too often."
        )
    finally:
        executor.close()
    try:
        executor.close()
    except Exception as error:
        fail(f"The executor cannot be closed twice: {reason(error)}", error)


def answers(
    executor: Executor, requests: Sequence[Request], *, patience_s: float = _PATIENCE_SECONDS
) -> dict[int, Done]:
    """Each request's answer by its number, with as many under way as the executor has slots.

    Raises:
        AssertionError: A request has two answers or none, or something else was answered.
    """
    queue, waiting = list(requests), set[int]()
    answered: dict[int, Done] = {}
    deadline = time.monotonic() + patience_s
    while queue or waiting:
        require(executor.slots >= 1, "The executor has no slots.")
        require(
            time.monotonic() < deadline,
            f"The executor answered {len(answered)} of {len(requests)} requests within {patience_s:g} s.",
        )
        while queue and len(waiting) < executor.slots:
            waiting.add(queue[0].number)
            executor.submit(queue.pop(0))
        for done in executor.wait(0.5):
            number = done.request.number
            require(number not in answered, f"The executor answers request {number} twice.")
            require(number in waiting, f"The executor answers request {number}, which is not under way.")
            waiting.remove(number)
            answered[number] = done
    return answered


def _request(number: int, seconds: float = 0.0) -> Request:
    from nas.model.evaluation import Request

    params = {"seconds": seconds}
    return Request(number=number, space="none", params=params, steps=1, full=False, seed=0, sparsity=0.0)
