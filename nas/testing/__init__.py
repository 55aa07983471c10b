"""Contract suites: what the author of a task, space, layout, sampler or executor runs over it.

Each raises AssertionError with one sentence that names what is wrong, and returns None otherwise.
"""

from nas.testing.executors import answers, check_executor
from nas.testing.layouts import check_layout
from nas.testing.samplers import check_sampler
from nas.testing.spaces import check_space
from nas.testing.tasks import check_task

__all__ = ["answers", "check_executor", "check_layout", "check_sampler", "check_space", "check_task"]
