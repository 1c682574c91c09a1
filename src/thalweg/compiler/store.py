"""Files of compiled code: in a folder of the user's own, each signed with a secret that lies there.

Machine code runs, and so does what Numba keeps in its files, before anybody has looked at it. So nothing is read from a
folder or a file that another user owns or may write, and nothing is used whose signature (HMAC, of the file's name and
content) is not that of the folder's secret. Files appear whole or not at all, so that processes may share a folder.
Whatever is missing, damaged or forbidden costs a compilation and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import shutil
import stat
import sys
import tempfile
import time
import warnings
from pathlib import Path

__all__ = ["cache_folder", "clear_cache", "has", "read", "write"]

_SIGNATURE = hashlib.sha256().digest_size
_SECRET = "secret"
_OLD = 3600.0  # seconds after which a file that was never finished is deleted
_FLAGS = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_warned: set[str] = set()
_swept: set[str] = set()  # folders from which unfinished files were deleted


def cache_folder() -> Path:
    """Return where compiled code is kept: ``$THALWEG_CACHE``, or ``thalweg`` in the user's cache folder."""
    given = os.environ.get("THALWEG_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "thalweg"


def clear_cache() -> None:
    """Delete all compiled code on disk."""
    shutil.rmtree(cache_folder() / "compiled", ignore_errors=True)


def read(name: str) -> bytes | None:
    """Return the content of a file that this user wrote, or None."""
    found = _folder()
    if found is None:
        return None
    folder, secret = found
    whole = _content(folder / name)
    if whole is None or len(whole) < _SIGNATURE:
        return None
    body = whole[_SIGNATURE:]
    return body if hmac.compare_digest(whole[:_SIGNATURE], _signature(secret, name, body)) else None


def write(name: str, body: bytes) -> None:
    """Keep a file, if there is a place for it."""
    found = _folder(make=True)
    if found is not None:
        with contextlib.suppress(OSError):  # a full disk, for one
            _write_whole(found[0] / name, _signature(found[1], name, body) + body)


def has(start: str) -> bool:
    """Return whether a file whose name begins so is there."""
    found = _folder()
    return found is not None and any(found[0].glob(f"{start}*"))


def _signature(secret: bytes, name: str, body: bytes) -> bytes:
    return hmac.digest(secret, name.encode() + b"\0" + body, "sha256")


def _folder(make: bool = False) -> tuple[Path, bytes] | None:
    """Return the folder and its secret, or None where there is none to be trusted; with `make`, make what is missing."""
    try:
        base = cache_folder()
        folder = base / "compiled"
        for place in (base, folder):
            if make:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _own(os.stat(place)):
                _warn(place)
                return None
        secret = _content(folder / _SECRET)
        if (secret is None or len(secret) != _SIGNATURE) and make:
            secret = _new_secret(folder)
        if secret is None or len(secret) != _SIGNATURE:
            return None
        _sweep(folder)
    except (OSError, RuntimeError):  # not there, not allowed, or no home
        return None
    return folder, secret


def _new_secret(folder: Path) -> bytes | None:
    """Write a secret; of processes that do so at once, one is the first, and the others take its secret."""
    path = folder / _SECRET
    if path.exists() or path.is_symlink():  # damaged, or not to be trusted
        path.unlink()
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")  # for this user alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(_SIGNATURE))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except (OSError, AttributeError):  # a file system, or a system, without links
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return _content(path)


def _content(path: Path) -> bytes | None:
    """Return what is in a file, if it is one that nobody else may have written."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return None
            if not _own(about):
                _warn(path)
                return None
            return file.read()
    except OSError:
        return None


def _own(about: os.stat_result) -> bool:
    """Return whether a file or folder is this user's, and nobody else may write to it."""
    if not hasattr(os, "geteuid"):  # a system that keeps users apart in other ways
        return True
    return about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _warn(place: Path) -> None:
    """Say once why nothing is read from a place."""
    if str(place) not in _warned:
        _warned.add(str(place))
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "thalweg":
            level, frame = level + 1, frame.f_back
        warnings.warn(
            f"thalweg: other users own or may write {place}, so compiled code is neither read from there nor kept; "
            "make it yours alone (chmod go-w), or set THALWEG_CACHE to a folder that is.",
            UserWarning,
            stacklevel=level,
        )


def _sweep(folder: Path) -> None:
    """Delete what a process left that was ended while it wrote; once for each folder."""
    if str(folder) in _swept:
        return
    _swept.add(str(folder))
    for path in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                path.unlink()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
