"""Shell completion: a script for bash or zsh, made from a command's parser."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence

from cost_models.target_names import list_targets

SHELLS = ("bash", "zsh")
_OR_FILES = {"--target", "--extends", "--task", "--space", "--sampler"}  # take a name or a file

_SCRIPT = """\
{head}{function}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  COMPREPLY=()
  case $before in
{cases}  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W {flags} -- "$word"))
  else
    COMPREPLY=($(compgen {first}-f -- "$word"))
  fi
}}
complete -o filenames -F {function} {prog}
"""
_CASE = '    {flag}) COMPREPLY=($(compgen -W {words} {files}-- "$word")); return ;;\n'
_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"


def completion_script(
    prog: str,
    actions: Iterable[argparse.Action],
    *,
    shell: str,
    words: Mapping[str, Sequence[str]],
    commands: Sequence[str] = (),
) -> str:
    """The script that completes a command; flags of a value complete to files where no words are known.

    Args:
        prog: The command.
        actions: Of its parser.
        shell: One of `SHELLS`; zsh runs the script of bash by its own `bashcompinit`.
        words: Values of flags that are no `choices`, by flag.
        commands: Words that the first argument may be.
    """
    flags: list[str] = []
    cases = ""
    for action in actions:
        flags += action.option_strings
        for flag in action.option_strings:
            values = [str(value) for value in action.choices or words.get(flag, ())]
            if flag in ("--target", "--extends"):
                values = [*list_targets()]
            if values:
                cases += _CASE.format(
                    flag=flag,
                    words=shlex.quote(" ".join(values)),
                    files="-f " if flag in _OR_FILES else "",
                )
    return _SCRIPT.format(
        head=_ZSH if shell == "zsh" else "",
        function="_" + prog.replace("-", "_"),
        cases=cases,
        flags=shlex.quote(" ".join(flags)),
        first=f"-W {shlex.quote(' '.join(commands))} " if commands else "",
        prog=prog,
    )
