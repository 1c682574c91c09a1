"""The small data sets in scikit-learn's own package: nothing is downloaded."""

from __future__ import annotations

import csv as _csv
import gzip
import importlib.util
import io
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingExtra
from .table import Table

__all__ = ["breast_cancer", "diabetes", "digits", "iris", "wine"]


def _bytes(who: str, file: str) -> bytes:
    """Read a file of scikit-learn's data without importing scikit-learn, which takes a second."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingExtra(
            f"data.{who}: the data come with scikit-learn, which is not installed; pip install 'thalweg[lab]'."
        )
    path = Path(str(spec.origin)).parent / "datasets" / "data" / file
    if not path.is_file():
        raise DataError(f"data.{who}: scikit-learn is installed but holds no {file}; install it anew.")
    return path.read_bytes()


def _labelled(name: str, file: str, features: tuple[str, ...], target: str, source: str) -> Table:
    """Read scikit-learn's CSV form: a first row of counts and class names, the class in the last column."""
    rows = list(_csv.reader(io.StringIO(_bytes(name, file).decode())))
    values = np.array(rows[1:], np.float64)
    return Table(
        name,
        values[:, :-1],
        values[:, -1].astype(np.int64),
        "classification",
        features,
        target,
        tuple(rows[0][2:]),
        source,
    )


def diabetes() -> Table:
    """Progression of diabetes after a year: 442 patients, 10 features (Efron et al. 2004).

    >>> diabetes()
    <diabetes: 442 x 10, regression of progression>
    """
    X = np.loadtxt(io.BytesIO(gzip.decompress(_bytes("diabetes", "diabetes_data_raw.csv.gz"))))
    y = np.loadtxt(io.BytesIO(gzip.decompress(_bytes("diabetes", "diabetes_target.csv.gz"))))
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    return Table("diabetes", X, y, "regression", names, "progression", (), "Efron et al. 2004, from scikit-learn")


def digits() -> Table:
    """Handwritten digits: 1797 images of 8 x 8 pixels from 0 to 16, ten classes (Alpaydin and Kaynak 1998)."""
    values = np.loadtxt(io.BytesIO(gzip.decompress(_bytes("digits", "digits.csv.gz"))), delimiter=",")
    names = tuple(f"pixel_{r}_{c}" for r in range(8) for c in range(8))
    return Table(
        "digits",
        values[:, :-1],
        values[:, -1].astype(np.int64),
        "classification",
        names,
        "digit",
        tuple("0123456789"),
        "Alpaydin and Kaynak 1998, from scikit-learn",
    )


def wine() -> Table:
    """Chemical analysis of wines: 178 wines, 13 features, three cultivars (Aeberhard and Forina 1992)."""
    names = (
        "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
        "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280_od315", "proline",
    )  # fmt: skip
    return _labelled("wine", "wine_data.csv", names, "cultivar", "Aeberhard and Forina 1992, from scikit-learn")


def breast_cancer() -> Table:
    """Cell nuclei in breast tissue: 569 samples, 30 features, malignant or benign (Wolberg et al. 1995)."""
    parts = (
        "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points",
        "symmetry", "fractal_dimension",
    )  # fmt: skip
    names = tuple(f"{kind}_{part}" for kind in ("mean", "error", "worst") for part in parts)
    source = "Wolberg et al. 1995, from scikit-learn"
    return _labelled("breast_cancer", "breast_cancer.csv", names, "diagnosis", source)


def iris() -> Table:
    """Measurements of iris flowers: 150 flowers, 4 features, three species (Fisher 1936)."""
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    return _labelled("iris", "iris.csv", names, "species", "Fisher 1936, from scikit-learn")
