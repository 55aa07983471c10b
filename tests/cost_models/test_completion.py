"""Shell completion, asked as bash asks it."""

from __future__ import annotations

import subprocess

import pytest

from cost_models.cli import main as nas_cost
from nas.cli.run import main as nas_run
from nas.cli.runs import main as nas_runs

_ASK = """
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function}; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(script: str, words: str) -> list[str]:
    """What bash offers after some words; `''` is the empty last one."""
    function = f"_{words.split()[0].replace('-', '_')}"
    text = script + _ASK.format(words=words, function=function)
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_flags_and_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        nas_run(["--completion", "bash"])
    script = capsys.readouterr().out

    assert completed(script, "nas-run --fin") == [
        "--final-steps",
        "--finalist-steps",
        "--finalists",
        "--final-on",
    ]
    assert completed(script, "nas-run --policy ''") == ["accuracy", "balanced", "smallest"]
    assert completed(script, "nas-run --target nrf5284") == ["nrf52840"]
    assert "ds_cnn" in completed(script, "nas-run --space d")
    assert completed(script, "nas-run --metric macro") == ["macro_f1"]


def test_the_first_word_completes_to_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        nas_runs(["--completion", "bash"])
    assert "compare" in completed(capsys.readouterr().out, "nas-runs comp")


def test_zsh_runs_the_script_of_bash(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        nas_cost(["--completion", "zsh"])
    script = capsys.readouterr().out
    assert script.startswith("autoload -Uz compinit bashcompinit")
    assert "complete -o filenames -F _nas_cost nas-cost" in script


def test_a_shell_that_is_not_known_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas_cost(["--completion", "fish"]) == 2
    assert "--completion is 'fish'." in capsys.readouterr().err
