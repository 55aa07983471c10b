from __future__ import annotations

import platform

import pytest

from nas.execute.kernels import kernel_variables


@pytest.mark.parametrize(
    ("shape", "machine", "taken"),
    [
        ((28, 28, 1), "x86_64", True),
        ((49, 10, 1), "AMD64", True),
        ((128, 6), "x86_64", False),
        ((128, 1, 6), "x86_64", False),
        ((12,), "x86_64", False),
        ((28, 28, 1), "aarch64", False),
    ],
)
def test_onednn_is_taken_for_pictures_on_the_cpus_that_it_was_measured_on(
    shape: tuple[int, ...], machine: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert kernel_variables(shape) == ({"TF_ENABLE_ONEDNN_OPTS": "1"} if taken else {})


def test_what_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert kernel_variables((28, 28, 1)) == {}
