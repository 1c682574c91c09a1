"""``thalweg atlas`` and ``thalweg diagnose``, as they are used, and what the catalogue shows."""

import json

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

from thalweg.cli import main
from thalweg.problems import PROBLEMS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return done.value.code, out, err

    return call


def test_the_list_of_the_atlas(run):
    status, out, _ = run("atlas", "list", "momentum")
    assert status == 0
    assert "momentum-03" in out
    assert "adam-" not in out
    everything = json.loads(run("atlas", "list", "--json")[1])
    assert len(everything) == 171
    assert set(everything[0]) == {"id", "topic", "kind", "title"}


def test_an_entry_prints_expected_and_obtained_and_draws(run, here):
    status, out, err = run("atlas", "run", "momentum-03", "--out", "p.svg", "--csv", "p.csv")
    assert status == 0
    assert out.count("-0.062843") == 2
    assert "The picture is p.svg\nThe numbers are in p.csv\n" in err
    assert sorted(p.name for p in here.iterdir()) == ["p.csv", "p.svg"]
    found = json.loads(run("atlas", "run", "momentum-03", "--no-picture", "--json")[1])
    assert found["good"]
    assert [f["name"] for f in found["figures"]] == ["x1", "x2"]


def test_a_check_of_one_topic_as_table(run):
    status, out, err = run("atlas", "check", "schedules", "--markdown")
    assert status == 0
    assert out.startswith("| entry | what |")
    assert "**differs**" not in out
    assert "agrees" in err
    assert run("atlas", "check", "schedules")[1].rstrip().endswith("0 were skipped.")


def test_a_wrong_figure_gives_status_one(run, monkeypatch):
    from thalweg.lab.atlas import Outcome, find
    from thalweg.lab.atlas.entry import compare

    entry = find("momentum-03")
    wrong = Outcome(entry, tuple(compare(entry, {"x1": 0.0, "x2": 0.0})))
    monkeypatch.setattr("thalweg.cli.atlas.run_entry", lambda *a, **k: wrong)
    monkeypatch.setattr("thalweg.cli.atlas.check_all", lambda chosen: [(wrong, 0.0)])
    status, out, _ = run("atlas", "run", "momentum-03", "--no-picture")
    assert status == 1
    assert "differs" in out
    assert run("atlas", "check", "momentum")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["atlas", "run", "momentun-03"], "momentum-03"),
        (["atlas", "list", "momentun"], "there is no topic 'momentun'"),
        (["atlas", "run", "momentum-03", "--out", "p.gif"], "ending in .png, .svg or .pdf"),
        (["atlas", "run", "momentum-03", "--out", "nowhere/p.png"], "there is no folder nowhere"),
        (["diagnose", "rosenbrok"], "Did you mean 'rosenbrock'?"),
        (["diagnose", "valley", "--picture", "p.gif"], "ending in .png, .svg or .pdf"),
        (["diagnose", "valley", "--picture", "nowhere/p.png"], "there is no folder nowhere"),
        (["diagnose", "x1**2 + x2**2", "--start=1"], "start of 2 numbers"),
        (["diagnose", "diabetes", "--start=1"], "--start is for functions"),
        (["race", "valley", "--noise", "-1"], "noise must be a number > 0"),
        (["race", "valley", "--replacement"], "a function has none"),
    ],
)
def test_mistakes_are_one_sentence_and_status_two(run, here, arguments, words):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert not list(here.iterdir())


@pytest.fixture
def as_theory_says(monkeypatch):
    """Take theory's rates for those of runs, which take seconds and are tested with the analysis."""
    monkeypatch.setattr("thalweg.analysis.stability_by_run", lambda gradient, x, theory, **settings: theory)


@pytest.mark.usefixtures("as_theory_says")
def test_a_diagnosis(run, here):
    status, out, err = run("diagnose", "valley", "--picture", "s.png")
    assert status == 0
    assert "condition number" in out
    assert "20" in out
    assert max(map(len, out.splitlines())) <= 200
    assert "The picture is s.png" in err
    assert (here / "s.png").stat().st_size > 1000
    found = json.loads(run("diagnose", "x1**2 + 9*x2**2", "--json")[1])
    assert found["condition number"] == pytest.approx(9)
    assert found["rates"][0]["theory"] == pytest.approx(1 / 9)
    assert len(found["advice"]) == 3
    assert found["tried"]["diverged"] == 0
    assert found["tried"]["command"].startswith('thalweg race "x1**2 + 9*x2**2" -o')


@pytest.mark.usefixtures("as_theory_says")
def test_a_diagnosis_of_a_table_of_ones_own(run, here):
    (here / "t.csv").write_text("a,b,y\n" + "".join(f"{k},{k * k % 7},{3 * k + k * k % 7}\n" for k in range(40)))
    found = json.loads(run("diagnose", "t.csv", "--target", "y", "--json")[1])
    assert found["problem"] == "t"
    assert found["gradient noise"]["noise scale"] > 0


def test_every_problem_is_listed_and_can_be_shown(run):
    listed = json.loads(run("list", "problems", "--json")[1])["problems"]
    assert list(listed) == [e.name for e in PROBLEMS]
    shown = run("show", "himmelblau")[1]
    for words in ("(x1**2 + x2 - 11)**2", "(-5, 5)", "(3, 2)", "25.7157", "saddle", "0.024306", "Himmelblau 1972"):
        assert words in shown
    assert "in each of 10 variables" in run("show", "quadratic_1e3")[1]


def test_noise_and_replacement_are_written_down_and_run_again(run, here):
    quick = ["--seeds", 1, "--no-pictures", "--json"]
    noisy = json.loads(run("race", "valley", "-o", "gd", "--steps", 20, "--noise", 0.1, "--out", "a", *quick)[1])
    again = json.loads(run("race", "a/config.toml", "--no-pictures", "--out", "b", "--json")[1])
    assert noisy["contenders"][0]["final_loss"] == again["contenders"][0]["final_loss"]
    plain = json.loads(run("race", "valley", "-o", "gd", "--steps", 20, "--out", "c", *quick)[1])
    assert plain["contenders"][0]["final_loss"] < noisy["contenders"][0]["final_loss"]
    drawn = run("race", "iris", "-o", "momentum", "--steps", 20, "--replacement", "--out", "d", *quick)
    assert drawn[0] == 0
    assert "replacement = true" in (here / "d" / "config.toml").read_text()
