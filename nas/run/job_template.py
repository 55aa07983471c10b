"""The job file that `nas-run --init` writes: every key with what it means, made from the configuration's fields."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost_models.errors import UserError
from nas.model.config_key import facts_of, help_text
from nas.run.config import keys

_WIDTH = 100


def job_template(values: Mapping[str, Any]) -> str:
    """The text of a job file.

    Args:
        values: Keys to set; all others stand as comments, with their defaults or an example.
    """
    lines = [
        "# A job of nas-run: nas-run --config FILE. Flags win over this file; what is commented out is not set."
    ]
    for key, field in keys().items():
        lines += ["", *textwrap.wrap(help_text(field), _WIDTH, initial_indent="# ", subsequent_indent="# ")]
        if key in values:
            lines.append(f"{key} = {_toml(values[key])}")
        elif field.default is None:
            lines.append(f"# {key} = {_toml(facts_of(field).example)}  # an example: not set by default")
        else:
            lines.append(f"# {key} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def write_job_template(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a new job file.

    Raises:
        UserError: The file exists, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(job_template(values))
    except FileExistsError:
        raise UserError(f"{path} exists and was left as it is.", "Give --init a new file name.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be written ({reason}).", "Give --init another file name.") from None


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON's strings are TOML's, but for one character that only TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
