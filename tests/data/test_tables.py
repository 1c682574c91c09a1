"""Tables: bundled, fetched, from text, generated."""

import gzip
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg import data
from thalweg.data import bundled, fetched
from thalweg.errors import DataError, MissingExtra

AIRFOIL = Path(__file__).parents[2].parent / "shared" / "data"


def curvature(table):
    table = table.standardized()
    A = np.c_[table.X, np.ones(len(table))]
    return 2 / np.linalg.eigvalsh(A.T @ A / len(A))[-1]


@pytest.mark.parametrize(
    ("make", "shape", "limit"),
    [
        (data.diabetes, (442, 10), 0.49699),
        (data.wine, (178, 13), 0.425),
        (data.breast_cancer, (569, 30), 0.15058),
        (data.digits, (1797, 64), 0.27245),
        (data.iris, (150, 4), None),
    ],
)
def test_bundled_tables_have_their_known_size_and_curvature(make, shape, limit):
    table = make()
    assert table.X.shape == shape
    if limit is not None:
        assert curvature(table) == pytest.approx(limit, abs=6e-5)


def test_bundled_tables_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets")
    for make, theirs in (
        (data.diabetes, sklearn.load_diabetes(scaled=False)),
        (data.digits, sklearn.load_digits()),
        (data.wine, sklearn.load_wine()),
        (data.breast_cancer, sklearn.load_breast_cancer()),
        (data.iris, sklearn.load_iris()),
    ):
        ours = make()
        np.testing.assert_array_equal(ours.X, theirs.data)
        np.testing.assert_array_equal(ours.y, theirs.target)


def test_without_scikit_learn_the_command_is_named(monkeypatch):
    monkeypatch.setattr(bundled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'thalweg\[lab\]'"):
        data.diabetes()


@pytest.mark.skipif(not (AIRFOIL / "airfoil_self_noise.dat").exists(), reason="the file is not at hand")
def test_airfoil(monkeypatch):
    monkeypatch.setenv("THALWEG_DATA", str(AIRFOIL))
    table = data.airfoil()
    assert table.X.shape == (1503, 5)
    part = table.standardized().rows(slice(0, 1500))
    A = np.c_[part.X, np.ones(1500)]
    eigenvalues = np.linalg.eigvalsh(A.T @ A / 1500)
    np.testing.assert_allclose(eigenvalues, [0.1737, 0.6665, 0.9181, 1.0, 1.1262, 2.0985], atol=6e-5)
    residual = part.y - A @ np.linalg.lstsq(A, part.y, rcond=None)[0]
    assert residual @ residual / 3000 == pytest.approx(0.241688, abs=1e-6)


def test_a_damaged_file_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    (tmp_path / "airfoil_self_noise.dat").write_text("1\t2\n")
    with pytest.raises(DataError, match="SHA-1"):
        data.airfoil()


@pytest.fixture
def served(tmp_path):
    """A server of the files in a folder; gives the folder and the address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_download_is_verified_and_kept(monkeypatch, tmp_path, served):
    folder, address = served
    content = b"1\t0\t0.3\t71.3\t0.002\t126.2\r\n2\t0\t0.3\t71.3\t0.002\t125.2\r\n"
    (folder / "file").write_bytes(content)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetched, "AIRFOIL_URL", address + "file")
    with pytest.raises(DataError, match=r"checksum differs.*THALWEG_DATA"):
        data.airfoil()
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(fetched, "AIRFOIL_SHA1", fetched.hashlib.sha1(content).hexdigest())
    assert data.airfoil().X.shape == (2, 5)
    (folder / "file").unlink()
    assert data.airfoil().X.shape == (2, 5)  # now from the cache


def test_without_a_network_it_is_said_where_to_put_the_file(monkeypatch, tmp_path):
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetched, "AIRFOIL_URL", "http://127.0.0.1:9/")
    with pytest.raises(DataError, match=r"cannot be reached .*; put airfoil_self_noise.dat into .*THALWEG_DATA"):
        data.airfoil()


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_reads_idx_files(monkeypatch, tmp_path, packed):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    labels = np.array([9, 3], np.uint8)
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        content = idx(array)
        (tmp_path / (name + (".gz" if packed else ""))).write_bytes(gzip.compress(content) if packed else content)
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    table = data.fashion_mnist("test")
    np.testing.assert_array_equal(table.X, images)
    assert table.y.tolist() == [9, 3]
    assert table.classes[9] == "ankle boot"
    with pytest.raises(ValueError, match="'train' or 'test'"):
        data.fashion_mnist("all")


def test_a_cut_idx_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8))[:-5])
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    with pytest.raises(DataError, match="no whole IDX file"):
        data.fashion_mnist("test")


def test_standardizing_uses_the_population_deviation_and_drops_constants():
    table = data.Table(
        "t", np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]]), np.array([1.0, 2.0, 6.0]), features=("a", "b")
    )
    done = table.standardized()
    np.testing.assert_allclose(done.X.mean(0), 0, atol=1e-15)
    np.testing.assert_allclose(done.X.std(0), 1)
    assert done.features == ("a",)
    assert done.dropped == ("b",)
    assert done.y.std() == pytest.approx(1)
    assert table.standardized(target=False).y.tolist() == [1, 2, 6]
    with pytest.raises(DataError, match="constant"):
        data.Table("t", np.eye(3), np.ones(3)).standardized()


def test_split_and_tensors():
    table = data.diabetes()
    train, test = table.split(0.25, generator=tw.Generator().manual_seed(1))
    assert (len(train), len(test)) == (332, 110)
    both = np.sort(np.concatenate([train.y, test.y]))
    np.testing.assert_array_equal(both, np.sort(table.y))
    X, y = table.tensors()
    assert X.dtype is tw.float32
    assert y.shape == (442,)
    assert data.wine().tensors()[1].dtype is tw.int64


def test_a_generated_regression_has_the_condition_number_asked_for():
    table = data.regression(300, 6, condition=1e4, noise=0.0, generator=tw.Generator().manual_seed(2))
    eigenvalues = np.linalg.eigvalsh(table.X.T @ table.X / 300)
    assert eigenvalues[-1] == pytest.approx(1)
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(1e4, rel=1e-6)
    again = data.regression(300, 6, condition=1e4, noise=0.0, generator=tw.Generator().manual_seed(2))
    np.testing.assert_array_equal(table.y, again.y)
    with pytest.raises(ValueError, match="more rows than features"):
        data.regression(5, 5)


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("size;price;rooms\n1,5;2\n".replace(",", ".").replace("2\n", "2;3\n") + "2.5;4;5\n", "utf-8")
    table = data.csv(path, "price")
    assert table.features == ("size", "rooms")
    assert table.X.tolist() == [[1.5, 3.0], [2.5, 5.0]]
    assert table.y.tolist() == [2, 4]
    assert data.csv(path).target == "rooms"
    assert data.csv(path, 0).target == "size"


def test_words_as_targets_are_classes(tmp_path):
    path = tmp_path / "kinds.csv"
    path.write_text("a,kind\n1,red\n2,blue\n3,red\n")
    table = data.csv(path)
    assert (table.task, table.classes, table.y.tolist()) == ("classification", ("blue", "red"), [1, 0, 1])
    plain = tmp_path / "plain.csv"
    plain.write_text("1,2\n3,4\n\n")
    assert data.csv(plain).features == ("x1",)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ("", None, "is empty"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n3\n", None, "line 3 of .* has 1 cells where 2"),
        ("a,b\n1,2\n3,x\n4,5\n", "b", "got 'x' in line 3, column 'b'"),
        ("a,b\n1,2\n,3\n", "b", "got an empty cell in line 3, column 'a'"),
        ("a,b\n1,\n2,3\n", "b", "target 'b' is empty in line 2"),
        ("a,b\n1,nan\n2,3\n", "b", "got 'nan' in line 2"),
        ("alpha,beta\n1,2\n", "betta", "no column 'betta'; did you mean 'beta'"),
        ("a,a\n1,2\n", None, "occurs twice"),
        ("a\n1\n", None, "at least one feature"),
        ("a,b\n1,yes\n2,yes\n", None, "one class only"),
    ],
)
def test_what_is_wrong_in_a_table_is_pointed_at(tmp_path, content, target, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        data.csv(path, target)


def test_a_missing_file_names_a_near_one(tmp_path):
    (tmp_path / "houses.csv").write_text("1,2\n")
    with pytest.raises(DataError, match=r"no file .*house.csv; did you mean .*houses.csv"):
        data.csv(tmp_path / "house.csv")
