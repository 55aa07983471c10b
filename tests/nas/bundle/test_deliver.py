from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.bundle import Bundle, BundleError
from nas.bundle.delivery import deliver, size_table

from .conftest import Finished, make_finished


def git(repo: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repo, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "firmware"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "user.name", "Ada")
    git(path, "config", "user.email", "ada@example.com")
    (path / "main.c").write_text("int main(void) { return 0; }\n")
    git(path, "add", "main.c")
    git(path, "commit", "-q", "-m", "Start")
    return path


def test_a_bundle_becomes_one_commit_on_a_branch_of_its_own(bundle: Bundle, repo: Path) -> None:
    (repo / "main.c").write_text("not committed\n")
    (repo / "staged.c").write_text("staged\n")
    git(repo, "add", "staged.c")
    before = (git(repo, "status", "--porcelain"), git(repo, "rev-parse", "main"))
    delivery = deliver(bundle, str(repo))
    assert (git(repo, "status", "--porcelain"), git(repo, "rev-parse", "main")) == before
    assert (repo / "main.c").read_text() == "not committed\n"
    assert delivery.branch == "mcu-nas/kws"
    assert git(repo, "rev-parse", "mcu-nas/kws") == delivery.commit
    assert git(repo, "rev-parse", "mcu-nas/kws^") == before[1]
    listed = git(repo, "ls-tree", "-r", "--name-only", "mcu-nas/kws").splitlines()
    expected = [f"models/kws/{entry.path}" for entry in bundle.manifest.files]
    assert sorted(listed) == sorted(["main.c", "models/kws/manifest.json", *expected])
    message = git(repo, "log", "-1", "--format=%B", "mcu-nas/kws")
    assert message.startswith(f"Add model kws (five gestures, {bundle.manifest.model_sha256[:12]})")
    assert "| sram | - | 2,928 B (2.9 KB) |" in message


def test_what_was_delivered_checks_out_as_the_same_bundle(bundle: Bundle, repo: Path, tmp_path: Path) -> None:
    from nas.bundle import verify

    deliver(bundle, f"{repo}:src/nets/kws", branch="model")
    git(repo, "worktree", "add", "-q", str(tmp_path / "tree"), "model")
    assert verify(tmp_path / "tree" / "src/nets/kws", cross=False).golden_count == 3


def test_a_repository_that_converts_line_ends_and_filters_models_keeps_the_bundle_as_it_is(
    bundle: Bundle, repo: Path, tmp_path: Path
) -> None:
    from nas.bundle import verify

    (repo / ".gitattributes").write_text("* text eol=crlf\n*.tflite filter=odd\n")
    git(repo, "config", "filter.odd.smudge", "tr T X")
    git(repo, "config", "filter.odd.clean", "tr T X")
    git(repo, "add", ".gitattributes")
    git(repo, "commit", "-q", "-m", "Line ends")
    deliver(bundle, str(repo))
    git(repo, "worktree", "add", "-q", str(tmp_path / "tree"), "mcu-nas/kws")
    assert b"\r\n" in (tmp_path / "tree" / "main.c").read_bytes()
    assert verify(tmp_path / "tree" / "models/kws", cross=False).golden_count == 3
    shutil.copytree(bundle.path, repo / "by_hand")
    git(repo, "add", "by_hand")
    git(repo, "commit", "-q", "-m", "Added by hand")
    git(repo, "worktree", "add", "-q", "--detach", str(tmp_path / "hand"))
    assert verify(tmp_path / "hand" / "by_hand", cross=False).golden_count == 3


def test_the_same_model_twice_makes_no_second_commit(bundle: Bundle, repo: Path) -> None:
    first = deliver(bundle, str(repo))
    second = deliver(bundle, str(repo))
    assert second.commit is None
    assert git(repo, "rev-parse", "mcu-nas/kws") == first.commit


def test_a_new_model_replaces_the_old_and_tells_the_difference(
    bundle: Bundle, repo: Path, tmp_path: Path
) -> None:
    first = deliver(bundle, str(repo))
    better = replace(make_finished().model.accuracies[0], correct=10, confusion=())
    other = (
        make_finished(target_name="corstone300")
        .with_model(accuracies=(better,))
        .export(tmp_path / "o", format="cmake")
    )
    second = deliver(other, str(repo))
    assert git(repo, "rev-parse", "mcu-nas/kws^") == first.commit
    listed = git(repo, "ls-tree", "-r", "--name-only", "mcu-nas/kws").splitlines()
    assert "models/kws/CMakeLists.txt" in listed
    assert "models/kws/kws.cc" not in listed
    assert "| accuracy | 90.00 % (test) | 100.00 % (test) | +10.00 points |" in second.table
    assert "| sram | 2,928 B (2.9 KB) | 3,296 B (3.2 KB) | +12.6% |" in second.table
    assert git(repo, "log", "-1", "--format=%s", "mcu-nas/kws").startswith("Update model kws")


def test_other_files_of_the_folder_stay(bundle: Bundle, repo: Path) -> None:
    (repo / "models/kws").mkdir(parents=True)
    (repo / "models/kws/NOTES.md").write_text("ours\n")
    git(repo, "add", "models")
    git(repo, "commit", "-q", "-m", "Notes")
    deliver(bundle, str(repo))
    assert git(repo, "show", "mcu-nas/kws:models/kws/NOTES.md") == "ours"
    (repo / "models/kws/kws.h").write_text("ours\n")
    git(repo, "add", "models")
    git(repo, "commit", "-q", "-m", "A header of ours")
    with pytest.raises(UserError, match=r"models/kws/kws\.h is in the repository and of no bundle\."):
        deliver(bundle, str(repo), branch="other")


def test_the_branch_that_is_checked_out_is_refused(bundle: Bundle, repo: Path) -> None:
    with pytest.raises(UserError, match=r"Branch main is checked out\."):
        deliver(bundle, str(repo), branch="main")


def test_a_bundle_that_fails_its_verification_is_not_delivered(bundle: Bundle, repo: Path) -> None:
    path = bundle.path / "kws_golden.cc"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(BundleError, match=r"kws_golden\.cc is not the file that was exported"):
        deliver(bundle, str(repo))
    assert git(repo, "branch", "--format=%(refname:short)") == "main"


def test_a_repository_without_commits_takes_its_first(bundle: Bundle, tmp_path: Path, repo: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q", "-b", "main")
    git(empty, "config", "user.name", "Ada")
    git(empty, "config", "user.email", "ada@example.com")
    assert git(empty, "rev-list", "--count", str(deliver(bundle, str(empty)).commit)) == "1"


@pytest.mark.parametrize("what", ["file", "symbolic link", "submodule"])
@pytest.mark.parametrize(("below", "taken"), [("a/b", "a"), ("a", "a"), ("a", "a/src")])
def test_a_tracked_file_in_the_way_of_the_folder_is_not_replaced(
    finished: Finished, repo: Path, tmp_path: Path, what: str, below: str, taken: str
) -> None:
    bundle = finished.export(tmp_path / "c", format="cmake")
    mode = {"file": "100644", "symbolic link": "120000", "submodule": "160000"}[what]
    commit = git(repo, "rev-parse", "HEAD")
    thing = commit if what == "submodule" else git(repo, "rev-parse", "HEAD:main.c")
    git(repo, "update-index", "--add", "--cacheinfo", f"{mode},{thing},{taken}")
    git(repo, "commit", "-q", "-m", "Something of ours")
    with pytest.raises(UserError, match=rf"^{taken} in the repository is not a folder\."):
        deliver(bundle, f"{repo}:{below}")
    assert git(repo, "branch", "--format=%(refname:short)") == "main"


def test_a_tracked_folder_in_the_place_of_a_file_is_not_replaced(bundle: Bundle, repo: Path) -> None:
    blob = git(repo, "rev-parse", "HEAD:main.c")
    git(repo, "update-index", "--add", "--cacheinfo", f"100644,{blob},models/kws/kws.h/ours.h")
    git(repo, "commit", "-q", "-m", "Something of ours")
    with pytest.raises(UserError, match=r"^models/kws/kws\.h is in the repository and of no bundle\."):
        deliver(bundle, str(repo))


def test_a_head_that_has_the_bundle_gets_the_branch(bundle: Bundle, repo: Path) -> None:
    first = deliver(bundle, str(repo))
    git(repo, "merge", "-q", "--ff-only", "mcu-nas/kws")
    git(repo, "branch", "-d", "mcu-nas/kws")
    assert deliver(bundle, str(repo)).commit is None
    assert git(repo, "rev-parse", "mcu-nas/kws") == first.commit


def test_a_path_that_git_passes_over_is_no_success(bundle: Bundle, repo: Path) -> None:
    git(repo, "config", "core.protectNTFS", "true")
    with pytest.raises(
        UserError, match=r"git does not take the bundle's files at git~1/x\.|git update-index"
    ):
        deliver(bundle, f"{repo}:git~1/x")
    assert git(repo, "branch", "--format=%(refname:short)") == "main"


def test_odd_folder_names_are_taken_as_they_stand(bundle: Bundle, repo: Path) -> None:
    deliver(bundle, f'{repo}:mo dels/*"gr\u00f6\n\u00dfe"')
    deliver(bundle, f'{repo}:mo dels/*"gr\u00f6\n\u00dfe"')
    listed = git(repo, "ls-tree", "-r", "-z", "--name-only", "mcu-nas/kws").split("\0")
    assert 'mo dels/*"gr\u00f6\n\u00dfe"/kws.h' in listed


def test_a_git_that_does_not_end_is_a_sentence(
    bundle: Bundle, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.bundle.delivery._TIMEOUT_S", 0)
    with pytest.raises(UserError, match=r"git rev-parse was not done after 0 s"):
        deliver(bundle, str(repo))


@pytest.mark.parametrize(
    ("place", "branch", "message"),
    [
        ("nowhere", None, "nowhere is not a git repository."),
        ("{repo}:../x", None, "'../x' is not a folder inside a repository."),
        ("{repo}:/abs", None, "'/abs' is not a folder inside a repository."),
        ("{repo}:.git/x", None, "'.git/x' is not a folder inside a repository."),
        ("{repo}:.GIT/x", None, "'.GIT/x' is not a folder inside a repository."),
        ("{repo}:a/.Git/x", None, "'a/.Git/x' is not a folder inside a repository."),
        ("{repo}", "@{-1}", "cannot name a branch."),
        ("{repo}", "-x", "'-x' cannot name a branch."),
        ("{repo}", "a..b", "'a..b' cannot name a branch."),
        ("{repo}/sub", None, "sub is a folder inside a repository."),
    ],
)
def test_mistakes_are_a_sentence(
    bundle: Bundle, repo: Path, place: str, branch: str | None, message: str
) -> None:
    (repo / "sub").mkdir()
    with pytest.raises(UserError) as caught:
        deliver(bundle, place.format(repo=repo), branch=branch)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_missing_identity_is_a_sentence(
    bundle: Bundle, repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for scope in ("user.name", "user.email"):
        git(repo, "config", "--unset", scope)
    git(repo, "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="git cannot commit"):
        deliver(bundle, str(repo))


def test_the_table_leaves_out_what_neither_model_has(finished: Finished, tmp_path: Path) -> None:
    costs = replace(finished.with_fixed_predictions().costs, latency_us=None, energy_uj=None)
    bare = replace(finished, costs=costs).with_model(accuracies=()).export(tmp_path / "b")
    assert size_table(None, bare.manifest).splitlines()[2:] == [
        "| sram | - | 2,928 B (2.9 KB) |  |",
        "| flash | - | 45,400 B (44.3 KB) |  |",
    ]


def plant_programs(repo: Path, ran: Path) -> None:
    """Name a program wherever a repository can: hooks, monitors, filters, signing, transports, traces."""
    program = repo.parent / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\nexit 1\n')
    program.chmod(0o755)
    hooks = repo / "planted_hooks"
    hooks.mkdir()
    for name in [
        "reference-transaction",
        "post-index-change",
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-commit",
        "post-checkout",
        "pre-auto-gc",
        "post-rewrite",
        "update",
        "fsmonitor-watchman",
    ]:
        for folder in (hooks, repo / ".git" / "hooks"):
            (folder / name).write_text(program.read_text())
            (folder / name).chmod(0o755)
    for key, value in {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(program),
        "core.pager": str(program),
        "core.editor": str(program),
        "core.sshCommand": str(program),
        "core.askPass": str(program),
        "core.alternateRefsCommand": str(program),
        "commit.gpgSign": "true",
        "gpg.program": str(program),
        "log.showSignature": "true",
        "filter.odd.clean": str(program),
        "filter.odd.smudge": str(program),
        "filter.odd.process": str(program),
        "filter.odd.required": "true",
        "diff.odd.textconv": str(program),
        "merge.odd.driver": str(program),
        "credential.helper": f"!{program}",
        "alias.rev-parse": f"!{program}",
        "alias.commit-tree": f"!{program}",
        "hook.planted.command": str(program),
        "hook.planted.event": "reference-transaction",
        "pager.ls-tree": str(program),
        "pager.cat-file": str(program),
        "submodule.recurse": "true",
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(program),
        "protocol.ext.allow": "always",
        "protocol.allow": "always",
        "gc.auto": "1",
    }.items():
        git(repo, "config", key, value)
    included = repo / ".git" / "more"
    included.write_text(f"[core]\n\tfsmonitor = {program}\n\thooksPath = {hooks}\n")
    git(repo, "config", f"includeIf.gitdir:{repo}/.path", str(included))
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "attributes").write_text("* filter=odd diff=odd merge=odd\n")


def test_no_program_that_the_repository_names_is_run(
    bundle: Bundle, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    plant_programs(repo, ran)
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(repo.parent / "program"))
    monkeypatch.setenv("GIT_SSH_COMMAND", str(repo.parent / "program"))
    first = deliver(bundle, str(repo))
    assert first.commit is not None
    assert deliver(bundle, str(repo)).commit is None
    assert not ran.exists()
    assert not trace.exists()


def test_a_partial_clone_that_lacks_an_object_asks_nobody_for_it(
    bundle: Bundle, repo: Path, tmp_path: Path
) -> None:
    deliver(bundle, str(repo))
    blob = git(repo, "rev-parse", "mcu-nas/kws:models/kws/manifest.json")
    (repo / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    ran = tmp_path / "ran"
    plant_programs(repo, ran)
    with pytest.raises(UserError, match="is in the repository and of no bundle"):
        deliver(bundle, str(repo))
    assert not ran.exists()


def test_a_repository_of_another_user_is_a_sentence(
    bundle: Bundle, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / "bin" / "git"
    stub.parent.mkdir()
    stub.write_text(
        "#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '$PWD'\" >&2\nexit 128\n"
    )
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:/usr/bin:/bin")
    with pytest.raises(UserError) as caught:
        deliver(bundle, str(repo))
    assert caught.value.message == f"git does not trust {repo}: it belongs to another user."
    assert caught.value.hint == f"If you do: git config --global --add safe.directory {repo}"
