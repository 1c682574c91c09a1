"""The atlas: its quick entries agree here; all of them are checked by ``thalweg atlas check``."""

import os
from pathlib import Path

import numpy as np
import pytest

from thalweg.lab import atlas, pictures
from thalweg.lab.atlas.drawing import picture
from thalweg.lab.atlas.entry import compare

AIRFOIL = Path(__file__).resolve().parents[3] / "shared" / "data"
SLOW = {"airfoil", "lenet", "matmul"}
QUICK = [e for e in atlas.entries() if e.runner not in SLOW and e.settings.get("cell") not in ("replacement", "replacement_batches", "batch_grid", "duplicated", "momentum_batches")]  # fmt: skip


def test_every_experiment_and_exercise_is_there_once():
    ids = [e.id for e in atlas.entries()]
    assert len(ids) == len(set(ids)) == 171
    assert sum("exercise" in i for i in ids) == 41


@pytest.mark.parametrize("entry", QUICK, ids=lambda e: e.id)
def test_quick_entries_agree(entry):
    outcome = atlas.run(entry)
    assert outcome.skipped is None
    assert outcome.good, [r for r in outcome.rows if not r.good]
    assert outcome.rows or entry.expected is None


@pytest.mark.parametrize("name", ["momentum-05", "adam-04", "minibatch-05", "minibatch-exercise-3"])
def test_airfoil_entries_agree(name, monkeypatch):
    if not (AIRFOIL / "airfoil_self_noise.dat").exists():
        pytest.skip("the airfoil data are not here")
    monkeypatch.setenv("THALWEG_DATA", str(AIRFOIL))
    assert atlas.run(atlas.find(name)).good


def test_a_wrong_figure_is_noticed():
    entry = atlas.find("momentum-03")
    rows = compare(entry, {"x1": -0.062843, "x2": 0.0013})
    assert [r.good for r in rows] == [True, False]
    assert not compare(entry, {})[0].good


def test_missing_data_are_said(monkeypatch, tmp_path):
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no network")))
    outcome = atlas.run(atlas.find("momentum-05"))
    assert outcome.skipped
    assert not outcome.good


@pytest.mark.parametrize(
    "name", ["momentum-02", "descent-20", "schedules-08", "challenges-09", "momentum-14", "rmsprop-04"]
)
def test_pictures_are_the_same_bytes_twice(name, tmp_path):
    files = []
    for k in range(2):
        folder = tmp_path / str(k)
        folder.mkdir()
        drawn = picture(atlas.find(name))
        files.append([p.read_bytes() for p in drawn.save(folder / "p", ("png", "svg", "pdf"))])
        files[-1].append(drawn.csv(folder / "p.csv").read_bytes())
    assert files[0] == files[1]
    assert all(len(b) > 50 for b in files[0])


def test_the_other_pictures():
    rng = np.random.default_rng(0)
    drawn = [
        pictures.bands({"a": np.exp(rng.normal(size=(9, 20)))}),
        pictures.convergence({"gd": 0.9 ** np.arange(20)}),
        pictures.spectrum([3.0, 1.0, -0.5]),
        pictures.gradient_histograms({"first": rng.normal(size=100) * 1e-4, "last": rng.normal(size=100)}),
        pictures.training({"one": {"loss": [1.0, 0.5], "train accuracy": [0.5, 0.8], "test accuracy": [0.5, 0.7]}}),
    ]
    assert all(p.data for p in drawn)
    assert os.environ.get("DISPLAY") is None or drawn
