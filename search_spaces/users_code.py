"""Code that a user wrote and named: tasks, search spaces and samplers in files of their own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from cost_models.errors import UserError


def load_file(path: Path, what: str) -> ModuleType:
    """Run a Python file as a module.

    Args:
        path: The file.
        what: What it holds, for messages: "task", "search space" or "sampler".

    Raises:
        UserError: There is no such file, or its code fails.
    """
    if not path.is_file():
        raise UserError(f"There is no {what} file {path}.", "Give a path to a Python file.")
    spec = importlib.util.spec_from_file_location(f"_{what.split()[-1]}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(spec.name)  # another file of this name
    sys.modules[spec.name] = module  # dataclasses look up there what an annotation names
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(spec.name, None)
        if before is not None:
            sys.modules[spec.name] = before
        raise UserError(
            f"The {what} {path} fails to load: {users_fault(error, str(path))}.", "Correct the file."
        ) from error
    return module


def load_module(name: str, what: str) -> ModuleType:
    """Import a module of the user's by its dotted name.

    Args:
        name: As in an import statement.
        what: What it holds, for messages.

    Raises:
        UserError: It cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, ImportError) else users_fault(error, "")
        raise UserError(
            f"The {what} {name} cannot be imported: {reason}.", "Check the module's name and its path."
        ) from error


def exported(module: ModuleType, name: str, what: str) -> Any:
    """What a user's module exports by a name; None where it exports nothing.

    Raises:
        UserError: Its own __getattr__ fails.
    """
    try:
        return getattr(module, name, None)
    except (Exception, SystemExit) as error:
        source = str(module.__file__)
        raise UserError(
            f"The {what} {source} fails to load: {users_fault(error, source)}.", "Correct the file."
        ) from error


def users_fault(error: BaseException, source: object) -> str:
    """An exception of a plug-in's code in a line: what it is, and the last line of the plug-in's own file.

    Args:
        error: What was raised.
        source: A function of the plug-in, or the name of its file.
    """
    code = getattr(source, "__code__", None)
    own = source if isinstance(source, str) else getattr(code, "co_filename", "")
    # Files are named as the user wrote them, but run by their absolute paths.
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same_file(frame.filename, own)
    ]
    if isinstance(error, SyntaxError) and error.filename and _same_file(error.filename, own):
        lines.append(error.lineno)
    place = f" ({Path(own).name}, line {lines[-1]})" if lines else ""
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # its own __str__ fails
        said = ""
    text = said.strip().splitlines()
    return f"{type(error).__name__}{': ' + text[0].rstrip('.') if text else ''}{place}"


def _same_file(path: str, other: str) -> bool:
    return os.path.abspath(path) == os.path.abspath(other)  # noqa: PTH100 - of names, whatever they are
