"""The executor without processes."""

from __future__ import annotations

import pytest

from nas.execute.inline import InlineExecutor
from nas.testing import check_executor


@pytest.mark.parametrize("slots", [1, 3])
def test_the_inline_executor_keeps_the_contract(slots: int) -> None:
    check_executor(lambda spec: InlineExecutor(spec.make(), slots))
