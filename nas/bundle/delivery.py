"""Puts a verified bundle into a firmware repository: one commit on a branch, the work tree untouched."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cost_models.errors import UserError
from cost_models.resources import RESOURCES, format_quantity
from nas.bundle import Bundle, Checked, check_bundle
from nas.bundle.c_text import plain_text
from nas.bundle.manifest import MANIFEST_NAME, Manifest, parse_manifest

_TIMEOUT_S = 120

# Nothing that a repository or its configuration names is run: no hook, monitor, signing program, filter or transport.
# Given as -c, these come after every configuration file. Later versions of git take hooks from the configuration, too.
_NO_PROGRAMS = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.pager=cat"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "commit.gpgSign=false"),
    *("-c", "log.showSignature=false"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
)
_QUIET_GIT = {
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone would ask its remote for what it lacks, by a program it names
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
}
# Which files git reads its configuration from is the user's choice; settings in the environment are not kept.
_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_")
_KEPT_FILES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery to a repository.

    Attributes:
        branch: The branch.
        commit: The new commit; None if the branch has this very bundle already, or was made at a HEAD that has it.
        table: Sizes and accuracy, old model against new, as Markdown.
    """

    branch: str
    commit: str | None
    table: str


def deliver(bundle: Bundle, place: str, *, branch: str | None = None) -> Delivery:
    """Commit a bundle to a branch of a git repository, through git's own plumbing: no checkout, no index, no hook.

    Args:
        bundle: The bundle; it is checked first, and what was checked is what is committed.
        place: `REPO` or `REPO:PATH`, the folder inside it; default models/<name>.
        branch: Made from HEAD if it does not exist; default mcu-nas/<name>.

    Raises:
        BundleError: The bundle fails its verification.
        UserError: No repository, a branch that is checked out, a folder that holds other files of these names or
            whose path leads through a file, or git does not keep what it was given.
    """
    checked = check_bundle(bundle.path, target=bundle.target)
    manifest = checked.manifest
    branch = branch or f"mcu-nas/{manifest.name}"
    repo, path_text = check_place(place, branch)
    folder = _folder(path_text or f"models/{manifest.name}")
    tip = repo.maybe("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
    base = tip or repo.maybe("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    old = _old_manifest(repo, base, folder)
    tree = _tree(repo, base, folder, checked, old)
    table = size_table(old, manifest)
    known = base if base and tree == repo.git("rev-parse", f"{base}^{{tree}}") else None
    commit = known or repo.commit(tree, base, _message(manifest, old, folder, table))
    if commit != tip:
        absent = "0" * len(commit)
        repo.git("update-ref", "-m", "mcu-nas: deliver", f"refs/heads/{branch}", commit, tip or absent)
    return Delivery(branch=branch, commit=None if known else commit, table=table)


def check_place(place: str, branch: str) -> tuple[_Repo, str]:
    """The repository of a place, and the folder that it names or "".

    Raises:
        UserError: No repository, no folder inside one, or a branch that is checked out.
    """
    repo_text, _, path_text = place.partition(":")
    repo = _Repo(Path(repo_text))
    if path_text:
        _folder(path_text)
    repo.check_branch(branch)
    return repo, path_text


def size_table(old: Manifest | None, new: Manifest) -> str:
    """SRAM, flash, latency and accuracy, old model against new, as Markdown."""
    rows = ["| | old | new | change |", "|---|---|---|---|"]
    resources = ("sram", "flash", "latency", "energy")
    for resource in resources:
        before, after = _value(old, resource), _value(new, resource)
        if before is None and after is None:
            continue
        shown = [_shown(resource, before), _shown(resource, after)]
        change = "" if before is None or after is None else f"{(after - before) / before:+.1%}"
        rows.append(f"| {resource} | {' | '.join(shown)} | {change} |")
    first, second = _accuracy(old), _accuracy(new)
    if first or second:
        change = "" if first is None or second is None else f"{100 * (second[1] - first[1]):+.2f} points"
        texts = [f"{100 * each[1]:.2f} % ({each[0]})" if each else "-" for each in (first, second)]
        rows.append(f"| accuracy | {' | '.join(texts)} | {change} |")
    return "\n".join(rows)


def _value(manifest: Manifest | None, resource: str) -> float | None:
    if manifest is None:
        return None
    costs = manifest.costs
    if manifest.npu:  # the rest is known of the core alone, which the model does not run on
        return manifest.npu.arena_bytes if resource == "sram" else None
    value: float | None = getattr(costs, RESOURCES[resource].field)
    return value


def _shown(resource: str, value: float | None) -> str:
    return "-" if value is None else format_quantity(resource, value)


def _accuracy(manifest: Manifest | None) -> tuple[str, float] | None:
    stated = sorted(manifest.accuracies, key=lambda entry: entry.part != "test") if manifest else []
    return (stated[0].part, stated[0].value) if stated else None


def _message(new: Manifest, old: Manifest | None, folder: str, table: str) -> str:
    verb = "Update" if old else "Add"
    return (
        f"{verb} model {new.name} ({plain_text(new.task.name)}, {new.model_sha256[:12]})\n\n"
        f"{plain_text(folder)}, for {plain_text(new.target.title)} and tflite-micro"
        f" {new.runtime.tflite_micro}.\n\n{table}\n"
    )


def _folder(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or any(part.lower() in ("..", ".git") for part in path.parts) or str(path) == ".":
        raise UserError(f"{text!r} is not a folder inside a repository.", "Write it like REPO:models/kws.")
    return path.as_posix()


def _old_manifest(repo: _Repo, base: str | None, folder: str) -> Manifest | None:
    text = repo.maybe("cat-file", "blob", f"{base}:{folder}/{MANIFEST_NAME}") if base else None
    if text is None:
        return None
    try:
        return parse_manifest(text)
    except ValueError as error:
        raise UserError(
            f"{folder} in the repository has a manifest that is not a bundle's.", "Give another REPO:PATH."
        ) from error


def _tree(repo: _Repo, base: str | None, folder: str, checked: Checked, old: Manifest | None) -> str:
    """The base's tree with the bundle in the place of the old one."""
    names = list(checked.files)
    own = {f"{folder}/{entry.path}" for entry in old.files} | {f"{folder}/{MANIFEST_NAME}"} if old else set()
    present = repo.entries(base, folder) if base else {}
    if base:
        _check_free(repo, base, [f"{folder}/{name}" for name in names], present, own)
    blobs = {
        f"{folder}/{name}": repo.git("hash-object", "-w", "--no-filters", "--stdin", data=data)
        for name, data in checked.files.items()
    }
    expected = {path: entry for path, entry in present.items() if path not in own}
    expected |= {path: f"100644 blob {blob}" for path, blob in blobs.items()}
    gone = [f"0 {'0' * len(base or '')}\t{path}" for path in sorted(own)]
    lines = gone + [f"100644 {blob}\t{path}" for path, blob in blobs.items()]
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        if base:
            repo.git("read-tree", base, env=index)
        data = "".join(line + "\0" for line in lines).encode()
        repo.git("update-index", "--add", "-z", "--index-info", env=index, data=data)
        tree = repo.git("write-tree", env=index)
    # git passes over a path that it takes for unsafe without an error.
    if repo.entries(tree, folder) != expected:
        raise UserError(f"git does not take the bundle's files at {folder}.", "Give another REPO:PATH.")
    return tree


def _check_free(repo: _Repo, base: str, paths: list[str], present: dict[str, str], own: set[str]) -> None:
    """Refuse to put the bundle's files where tracked ones of no bundle would go for them."""
    above = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    for parent in sorted(above - own):
        if not repo.is_free_or_folder(base, parent):
            raise UserError(f"{parent} in the repository is not a folder.", "Give another REPO:PATH.")
    taken = set(paths)
    for path in sorted(set(present) - own):
        ancestors = {path, *map(str, PurePosixPath(path).parents)}
        if claimed := ancestors & taken:
            raise UserError(
                f"{min(claimed)} is in the repository and of no bundle.", "Give another REPO:PATH."
            )


class _Repo:
    """A git repository, asked through its plumbing.

    Args:
        path: Its folder.

    Raises:
        UserError: It is not a repository, or there is no git.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise _no_repository(path)
        self._hooks_off: tuple[str, ...] = ()
        asked = self._run(["rev-parse", "--git-dir"], {}, b"")
        if b"dubious ownership" in asked.stderr:
            raise UserError(
                f"git does not trust {path}: it belongs to another user.",
                f"If you do: git config --global --add safe.directory {path.resolve()}",
            )
        if asked.returncode != 0:
            raise _no_repository(path)
        self._hooks_off = self._configured_hooks()
        top = self.maybe("rev-parse", "--show-prefix")
        if top:
            raise UserError(
                f"{path} is a folder inside a repository.", "Give the repository's own folder, and REPO:PATH."
            )

    def _configured_hooks(self) -> tuple[str, ...]:
        """Options that switch off each hook that the configuration names."""
        listed = self.maybe("config", "--name-only", "-z", "--get-regexp", r"^hook\.") or ""
        names = {key.split(".", 1)[1].rpartition(".")[0] for key in listed.split("\0") if key.count(".") > 1}
        return tuple(word for name in sorted(names) for word in ("-c", f"hook.{name}.enabled=false"))

    def check_branch(self, branch: str) -> None:
        """Refuse what is not a branch's name, and a branch that some work tree has checked out."""
        # Not --branch, which takes @{-1} for the branch before.
        named = self.maybe("check-ref-format", f"refs/heads/{branch}") is not None
        if not named or branch.startswith("-") or branch == "HEAD":
            raise UserError(f"{branch!r} cannot name a branch.", "Take letters, digits, - and /.")
        if f"branch refs/heads/{branch}" in self.git("worktree", "list", "--porcelain").splitlines():
            raise UserError(
                f"Branch {branch} is checked out.", "Give another --branch, or switch to another one first."
            )

    def commit(self, tree: str, parent: str | None, message: str) -> str:
        """A commit of a tree; no branch is moved."""
        parents = ["-p", parent] if parent else []
        done = self._run(["commit-tree", tree, *parents, "-F", "-"], {}, message.encode())
        if done.returncode != 0:
            raise UserError(
                f"git cannot commit in {self.path}.", "Set user.name and user.email in its configuration."
            )
        return done.stdout.decode().strip()

    def entries(self, tree: str, folder: str) -> dict[str, str]:
        """Every entry below a folder of a tree: mode, kind and object by path."""
        listed = self.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", f"{folder}/").split("\0")
        pairs = (line.split("\t", 1) for line in listed if line)
        return {path: entry for entry, path in pairs}

    def is_free_or_folder(self, tree: str, path: str) -> bool:
        """Whether a path of a tree is not there or a folder; files, symbolic links and submodules are neither."""
        listed = self.git("ls-tree", "-z", "--full-tree", tree, "--", path)
        return not listed or listed.split(" ", 2)[1] == "tree"

    def maybe(self, *words: str) -> str | None:
        """git's answer, or None where it fails."""
        done = self._run(words, {}, b"")
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def git(self, *words: str, env: dict[str, str] | None = None, data: bytes = b"") -> str:
        """git's answer."""
        done = self._run(words, env or {}, data)
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").splitlines() or ["no message"]
            raise UserError(f"git {words[0]} failed in {self.path}.", lines[-1])
        return done.stdout.decode(errors="surrogateescape").strip()

    def _run(
        self, words: tuple[str, ...] | list[str], env: dict[str, str], data: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        # A caller that is itself a git hook has GIT_DIR and its like set, which would lead to its repository.
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("GIT_") or key.startswith(_KEPT) or key in _KEPT_FILES
        }
        try:
            return subprocess.run(
                ["git", "--no-pager", *_NO_PROGRAMS, *self._hooks_off, *words],
                cwd=self.path,
                env={**clean, **_QUIET_GIT, **env},
                input=data,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise UserError("git is not installed.", "Install it, or copy the bundle by hand.") from None
        except subprocess.TimeoutExpired:
            raise UserError(
                f"git {words[0]} was not done after {_TIMEOUT_S} s in {self.path}.",
                "Look for what holds it up.",
            ) from None


def _no_repository(path: Path) -> UserError:
    return UserError(f"{path} is not a git repository.", "Give the folder of a checkout, REPO or REPO:PATH.")
