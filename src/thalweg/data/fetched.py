"""Data sets that are looked for on this machine first and downloaded only when they are nowhere."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, DataError
from .table import Array, Table

__all__ = ["Unreachable", "airfoil", "cache_folder", "fashion_mnist"]

AIRFOIL_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/00291/airfoil_self_noise.dat"
AIRFOIL_SHA1 = "76e5be1548fd8222e5074cf0faae75edff8cf93f"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
TIMEOUT = 30.0  # seconds


class Unreachable(DataError):
    """A file is neither here nor to be had now."""


def cache_folder() -> Path:
    """Return the folder for downloaded data: ``$XDG_CACHE_HOME/thalweg``, by default ``~/.cache/thalweg``."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "thalweg"


def _places(*more: Path) -> list[Path]:
    """Return the folders to look in, in order."""
    chosen = os.environ.get("THALWEG_DATA")
    return [*([Path(chosen)] if chosen else []), *more, cache_folder()]


def _found(file: str, places: list[Path]) -> Path | None:
    """Return the first place that holds the file, packed or not."""
    for place in places:
        for name in (file, file.removesuffix(".gz")):
            if (place / name).is_file():
                return place / name
    return None


def _download(who: str, url: str, file: str, fits: Callable[[bytes], bool]) -> Path:
    """Fetch a file into the cache, whole or not at all."""
    from urllib.error import URLError
    from urllib.request import urlopen

    folder = cache_folder()
    where = f"put {file} into {folder}, or into a folder of your own that $THALWEG_DATA names"
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"data.{who}: {file} is not here and {url} cannot be reached ({reason}); {where}.") from None
    if not fits(content):
        raise Unreachable(f"data.{who}: what {url} sent is not {file} (its checksum differs); {where}.")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{file}.{os.getpid()}"
    partial.write_bytes(content)
    os.replace(partial, folder / file)
    return folder / file


def _is_airfoil(content: bytes) -> bool:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest() == AIRFOIL_SHA1


def airfoil() -> Table:
    """Noise of an airfoil in a wind tunnel: 1503 measurements, 5 features (Brooks, Pope and Marcolini 1989).

    Looked for as ``airfoil_self_noise.dat`` in ``$THALWEG_DATA``, then in the user's cache, else downloaded from
    the UCI repository; its SHA-1 is verified wherever it came from.
    """
    file = "airfoil_self_noise.dat"
    path = _found(file, _places()) or _download("airfoil", AIRFOIL_URL, file, _is_airfoil)
    content = path.read_bytes()
    if not _is_airfoil(content):
        raise DataError(f"data.airfoil: {path} is not the file that it should be (SHA-1 {AIRFOIL_SHA1}); replace it.")
    values = np.loadtxt(content.decode("ascii").splitlines(), delimiter="\t")
    return Table(
        "airfoil",
        values[:, :-1],
        values[:, -1],
        "regression",
        ("frequency", "angle", "chord", "velocity", "thickness"),
        "sound_pressure",
        (),
        "Brooks, Pope and Marcolini 1989, from the UCI repository",
    )


def _idx(path: Path) -> Array:
    """Read an array of bytes in IDX form, packed or not."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError):
            raise DataError(f"data.fashion_mnist: {path} is damaged; replace it.") from None
    ndim = raw[3] if len(raw) > 3 else 0
    shape = tuple(int(k) for k in np.frombuffer(raw, ">u4", ndim, 4)) if len(raw) >= 4 + 4 * ndim else ()
    if raw[:3] != b"\x00\x00\x08" or len(raw) - 4 - 4 * ndim != int(np.prod(shape)):
        raise DataError(f"data.fashion_mnist: {path} is no whole IDX file of bytes; replace it.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def _is_fashion(file: str) -> Callable[[bytes], bool]:
    return lambda content: hashlib.md5(content, usedforsecurity=False).hexdigest() == FASHION_MD5[file]


def fashion_mnist(split: str = "train") -> Table:
    """Pictures of clothing: 60,000 to train on and 10,000 to test on, 28 x 28 bytes (Xiao, Rasul and Vollgraf 2017).

    ``X`` is [n, 28, 28] of bytes, ``y`` the class. Looked for in ``$THALWEG_DATA``, where Debian's package
    dataset-fashion-mnist puts it, and in the user's cache, else downloaded and verified.
    """
    part = {"train": "train", "test": "t10k"}.get(split)
    if part is None:
        raise ArgumentError(f"data.fashion_mnist: split must be 'train' or 'test', got {split!r}.")
    arrays = []
    for file in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
        path = _found(file, _places(DEBIAN_FOLDER))
        arrays.append(_idx(path or _download("fashion_mnist", FASHION_URL + file, file, _is_fashion(file))))
    X, y = arrays
    names = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    source = "Xiao, Rasul and Vollgraf 2017"
    return Table("fashion_mnist", X, y.astype(np.int64), "classification", (), "article", names, source)
