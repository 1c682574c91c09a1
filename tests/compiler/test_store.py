"""Files of compiled code: who may have written them, what is wrong with them, and that nothing else ever runs."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import random
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thalweg.compiler import store

pytest.importorskip("numba")

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users are kept apart in another way here")
BODY = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "cache" / "compiled"


def test_what_was_written_is_read_by_its_name_only(folder: Path) -> None:
    assert store.read("a.o") is None
    assert not folder.exists()  # looking makes nothing
    store.write("a.o", BODY)
    assert store.read("a.o") == BODY
    assert store.has("a")
    assert not store.has("b")
    (folder / "b.o").write_bytes((folder / "a.o").read_bytes())
    assert store.read("b.o") is None
    store.clear_cache()
    assert store.read("a.o") is None


@posix
def test_the_folder_and_its_files_are_for_the_user_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        store.write("a.o", BODY)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())}
    assert modes == {"cache": 0o700, "compiled": 0o700, "a.o": 0o600, "secret": 0o600}


STRANGE: dict[str, Callable[[Path], Any]] = {
    "cache for all": lambda folder: folder.parent.chmod(0o777),
    "cache for all, sticky": lambda folder: folder.parent.chmod(0o1777),
    "folder for the group": lambda folder: folder.chmod(0o770),
    "file for the group": lambda folder: (folder / "a.o").chmod(0o660),
    "file for all": lambda folder: (folder / "a.o").chmod(0o606),
    "secret for all": lambda folder: (folder / "secret").chmod(0o666),
}


@posix
@pytest.mark.parametrize("case", STRANGE)
def test_nothing_is_read_that_others_may_write(folder: Path, case: str) -> None:
    store.write("a.o", BODY)
    STRANGE[case](folder)
    with pytest.warns(UserWarning, match="other users own or may write .*chmod") as seen:
        assert store.read("a.o") is None
    assert len(seen) == 1
    with warnings.catch_warnings():  # said once
        warnings.simplefilter("error")
        assert store.read("a.o") is None


@posix
def test_nothing_is_read_or_written_where_another_user_is_the_owner(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a.o", BODY)
    mine = os.geteuid()
    monkeypatch.setattr(store.os, "geteuid", lambda: mine + 1)
    with pytest.warns(UserWarning, match="other users own"):
        assert store.read("a.o") is None
    store.write("b.o", BODY)
    assert not (folder / "b.o").exists()


def test_without_users_the_signature_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("geteuid", "link", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(store.os, name, raising=False)
    store.write("a.o", BODY)
    assert store.read("a.o") == BODY


def cut(content: bytes, other: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def flipped(content: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def moved(content: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(1, len(content))
    return content[at:] + content[:at]


DAMAGES: list[Callable[[bytes, bytes, random.Random], bytes]] = [
    cut, flipped, flipped, moved, lambda content, other, rng: b"", lambda content, other, rng: other,
    lambda content, other, rng: rng.randbytes(rng.randrange(2000)), lambda content, other, rng: content + rng.randbytes(1),
]  # fmt: skip


def test_a_thousand_damages_are_noticed(folder: Path) -> None:
    rng = random.Random(0)
    names = ["a.o", "b.n", "secret"]
    for k in range(1000):
        for name in names[:2]:
            store.write(name, BODY + name.encode())
        whole = {name: (folder / name).read_bytes() for name in names}
        hit, other = rng.sample(names, 2)
        bad = rng.choice(DAMAGES)(whole[hit], whole[other], rng)
        (folder / hit).write_bytes(bad)
        found = store.read("a.o")
        assert found == (BODY + b"a.o" if hit == "b.n" or bad == whole[hit] else None), (k, hit)
        store.write("a.o", BODY)
        assert store.read("a.o") == BODY  # mended


class Runs:
    """What a stranger would plant: unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


PROGRAM = """
import numpy as np, thalweg as tw
f, g = tw.compile(lambda x: (x * 3 + 1).sin().sum()), tw.compile(lambda x: (x @ x).tanh().sum())
with tw.no_grad():
    print([f(np.ones(2)).item() for _ in range(2)], [g(np.ones((60, 60))).item() for _ in range(2)])
"""


def run(program: str, folder: Path, **more: str) -> tuple[str, str]:
    env = {**os.environ, "THALWEG_CACHE": str(folder.parent), **more}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_what_is_planted_never_runs(folder: Path, tmp_path: Path) -> None:
    want = run(PROGRAM, folder)
    assert want[1] == ""
    trap = pickle.dumps(Runs(tmp_path / "ran"))
    for path in folder.iterdir():
        if path.name != "secret":
            path.write_bytes(path.read_bytes()[:32] + trap)
            for name in ("kernel.py", "sitecustomize.py", f"{path.stem}.py"):
                (folder / name).write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})")
    assert run(PROGRAM, folder) == want
    assert not (tmp_path / "ran").exists()


def full(*given: Any, **more: Any) -> Any:
    raise OSError(errno.ENOSPC, "no space left on device")


@pytest.mark.parametrize("place", ["mkdir", "mkstemp", "fdopen", "replace", "urandom"])
def test_a_full_disk_costs_nothing_but_time(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "replace":
        store.write("b.o", BODY)
    where: Any = {"mkdir": Path, "mkstemp": store.tempfile}.get(place, store.os)
    with monkeypatch.context() as patched:
        patched.setattr(where, place, full)
        store.write("a.o", BODY)
        assert store.read("a.o") is None
    assert not list(folder.glob("*.tmp"))
    store.write("a.o", BODY)
    assert store.read("a.o") == BODY


def test_a_file_system_without_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.os, "link", full)
    store.write("a.o", BODY)
    assert store.read("a.o") == BODY


def test_no_home_and_a_file_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file"))
    store.write("a.o", BODY)
    assert store.read("a.o") is None
    monkeypatch.delenv("THALWEG_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    store.write("a.o", BODY)
    assert store.read("a.o") is None


def test_files_that_were_never_finished_are_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a.o", BODY)
    (folder / "old.tmp").write_bytes(b"half")
    (folder / "new.tmp").write_bytes(b"half")
    os.utime(folder / "old.tmp", (0, 0))
    monkeypatch.setattr(store, "_swept", set())
    assert store.read("a.o") == BODY
    assert [path.name for path in folder.glob("*.tmp")] == ["new.tmp"]


@posix
@pytest.mark.parametrize("count", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_damaged_caches_cost_a_compilation_each(count: int) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiler.damaged_caches", str(count), "1"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == f"damaged {count}, bad 0", done.stdout + done.stderr


@pytest.mark.slow
def test_a_process_killed_while_it_compiles_leaves_a_usable_cache(folder: Path) -> None:
    want = run(PROGRAM, folder)[0]
    store.clear_cache()
    env = {**os.environ, "THALWEG_CACHE": str(folder.parent)}
    for k in range(20):
        running = subprocess.Popen([sys.executable, "-c", PROGRAM], env=env, stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(0.2 + 0.04 * k)
        running.kill()
        running.wait()
    assert run(PROGRAM, folder) == (want, "")
