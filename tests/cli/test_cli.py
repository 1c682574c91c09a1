"""The command line, as it is used."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

from thalweg.cli import main

TRACE = ["trace", "0.1*x1**2 + 2*x2**2", "--start=-5,-2", "--steps", "20"]
QUICK = ["-o", "gd", "-o", "adam:batch=100", "--epochs", "2", "--no-pictures", "--as-is"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def run(capsys):
    """Call the command line; give status, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return call


def test_a_trace_prints_one_line_and_draws(run, here):
    status, out, err = run(*TRACE, "-o", "sgd:lr=0.4,momentum=0.5")
    assert (status, out) == (0, "epoch 20, x1 -0.062843, x2 0.001202\n")
    assert "The picture is trace-expression-" in err
    assert sorted(p.suffix for p in here.iterdir()) == [".png", ".svg"]


def test_a_trace_of_several_contenders(run, here):
    status, out, _ = run(*TRACE, "-o", "gd:lr=0.4", "-o", "gd:lr=0.6", "--out", "paths.pdf")
    assert status == 0
    assert out.splitlines() == ["epoch 20, x1 -0.943467, x2 -0.000073", "epoch 20, x1 -0.387814, x2 -1673.365109"]
    assert [p.name for p in here.iterdir()] == ["paths.pdf"]


def test_a_trace_of_one_variable_and_of_a_name(run, here):
    assert (
        run("trace", "x**2", "-o", "gd:lr=0.2", "--start=10", "--steps", 10, "--no-picture")[1]
        == "epoch 10, x 0.060466\n"
    )
    status, out, _ = run("trace", "rosenbrock", "--no-picture", "--json", "--steps", 3)
    assert status == 0
    assert len(json.loads(out)[0]["points"]) == 4
    assert not list(here.iterdir())


def test_a_race_prints_a_table_and_keeps_a_folder(run, here):
    status, out, err = run("race", *QUICK, "--seeds", 5)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "Largest stable learning rate of gradient descent: 0.49699" in out
    assert "contender" in out
    assert len([line for line in err.splitlines() if line.startswith("[")]) == 10
    (folder,) = here.iterdir()
    assert folder.name.startswith("race-diabetes-")
    assert f"Everything is in {folder.name}/" in out
    command = json.loads((folder / "manifest.json").read_text())["command"]
    assert command[0] == "thalweg"


def test_a_race_as_json_and_again_from_its_configuration(run, here):
    first = json.loads(run("race", *QUICK, "--seeds", 2, "--out", "a", "--json")[1])
    assert first["folder"] == "a"
    assert [c["contender"] for c in first["contenders"]] == ["gd", "adam"]
    assert first["contenders"][0]["interval"] is None
    again = json.loads(run("race", "a/config.toml", "--no-pictures", "--out", "b", "--json")[1])
    for one, two in zip(first["contenders"], again["contenders"], strict=True):
        assert one["final_loss"] == two["final_loss"]
    assert (here / "a" / "config.toml").read_bytes() == (here / "b" / "config.toml").read_bytes()


def test_a_race_on_a_table_of_ones_own(run, here):
    (here / "t.csv").write_text("a,b,y\n" + "".join(f"{k},{k * k % 7},{3 * k + k * k % 7}\n" for k in range(40)))
    status, out, _ = run("race", "t.csv", "--target", "y", "-o", "gd", "--seeds", 1, "--trials", 2, "--no-pictures")
    assert status == 0
    assert "Each seed holds out rows" in out
    assert "t: linear regression, ½ mean squared error (40 rows, 3 parameters)" in out


def test_a_race_on_an_expression_from_one_start_runs_once(run):
    status, out, _ = run("race", "x1**2 + 9*x2**2", "--start=1,1", "-o", "gd", "--steps", 50, "--no-pictures", "--json")
    assert status == 0
    assert json.loads(out)["seeds"] == 1


def test_everything_diverging_is_a_result(run):
    status, out, _ = run("race", "x1**4", "-o", "gd:lr=100", "--seeds", 2, "--no-pictures")
    assert status == 0
    assert "Every contender diverged." in out


WRONG = [
    (["race", "diabetis"], "There is no problem 'diabetis'. Did you mean 'diabetes'?"),
    (["race", "-o", "adem"], "There is no optimizer 'adem'. Did you mean 'adam'?"),
    (["race", "-o", "adam:lrr=1"], "no setting of adam called 'lrr'. Did you mean 'lr'?"),
    (["race", "-o", "adam:lr=-1"], "lr must be"),
    (["race", "mine.csv"], "there is no file mine.csv"),
    (["race", "--lr", "fast"], "--lr: numbers > 0"),
    (["race", "--lr", "1..2:1"], "FROM..TO:COUNT"),
    (["race", "-o", "adam:lr=1", "--lr", "0.1"], "leave lr out of -o adam:lr=1"),
    (["race", "--target", "y"], "--target names the column"),
    (["race", "2x"], "a product is written with *"),
    (["race", "--epochs", "1", "--steps", "1"], "Either --epochs or --steps"),
    (["race", "--epochs", "0"], "must be a number > 0"),
    (["race", "--batch", "10000"], "at most 260"),
    (["race", "x1**2", "--epochs", "1"], "a function has none; use --steps"),
    (["race", "x1**2", "--batch", "1"], "a function has none"),
    (["race", "x1**2", "--start", "a"], "numbers separated by commas"),
    (["race", "x1**2", "--start=1,2"], "a start of 1 numbers"),
    (["race", "--resume", "nowhere"], "no folder of a race"),
    (["race", "nothing.toml"], "cannot be read"),
    (["race", "--seeds", "0"], "not in the range"),
    (["race", "--sedes", "2"], "--seeds"),
    (["rase"], "There is no command 'rase'. Did you mean 'race'?"),
    (["trace", "diabetes"], "a function is required"),
    (["trace", "x1**2 + x2"], "a start is required, as in --start=1,1"),
    (["trace", "x**2", "--start=1", "--out", "a.gif"], ".png, .svg or .pdf"),
    (["trace", "x**2", "--start=1", "--out", "no/a.png"], "there is no folder no"),
    (["trace", "sin(", "--start=1"], "column 5"),
    (["list", "things"], "problems, optimizers, datasets"),
    (["show", "addam"], "Did you mean 'adam'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_a_mistake_exits_with_2_and_leaves_nothing_behind(run, here, arguments, message):
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not list(here.iterdir())


def test_an_occupied_folder_is_refused(run, here):
    (here / "full").mkdir()
    (here / "full" / "mine").write_text("x")
    status, _, err = run("race", "--out", "full", *QUICK)
    assert status == 2
    assert "--out: a new or empty folder" in err
    assert (here / "full" / "mine").read_text() == "x"


def test_list_show_doctor_version(run):
    status, out, _ = run("list")
    assert status == 0
    assert all(name in out for name in ("diabetes", "rosenbrock", "adam", "yogi", "fashion_mnist"))
    assert max(map(len, out.splitlines())) <= 80
    assert list(json.loads(run("list", "problems", "--json")[1])) == ["problems"]
    assert "largest stable learning rate" in run("show", "diabetes")[1]
    assert "betas=0.9/0.999" in run("show", "adam")[1]
    assert "60,000" in run("show", "fashion_mnist")[1]
    assert json.loads(run("show", "himmelblau", "--json")[1])["parameters"] == 2
    status, out, _ = run("doctor")
    assert status == 0
    assert "Everything that is needed is there." in out
    assert run("--version")[1].startswith("thalweg ")
    assert "race" in run("--help")[1]


def test_a_missing_extra_is_one_sentence(here):
    code = "import sys; sys.modules['click'] = None; from thalweg.cli import main; main(['list'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "thalweg: the command line needs click; pip install 'thalweg[lab]'.\n"


def command(*arguments):
    return [sys.executable, "-m", "thalweg", *arguments]


def test_a_closed_pipe_is_no_error(here):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("list"), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ctrl_c_keeps_what_was_done_and_resume_gives_the_same(run, here):
    arguments = [
        "race",
        "diabetes",
        "-o",
        "adam",
        "-o",
        "momentum",
        "--seeds",
        "4",
        "--epochs",
        "6",
        "--as-is",
        "--no-pictures",
    ]
    process = subprocess.Popen(
        command(*arguments, "--out", "cut"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    runs = here / "cut" / "runs"
    wait_for(lambda: runs.is_dir() and any(runs.glob("*.json")), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "thalweg race --resume cut does the rest" in err
    assert "Traceback" not in err
    kept = len(list(runs.glob("*.json")))
    assert len((here / "cut" / "results.csv").read_text().splitlines()) == kept + 1
    resumed = json.loads(run("race", "--resume", "cut", "--no-pictures", "--json")[1])
    whole = json.loads(run(*arguments, "--out", "whole", "--json")[1])
    for one, two in zip(resumed["contenders"], whole["contenders"], strict=True):
        assert (one["final_loss"], one["steps_to_goal"]) == (two["final_loss"], two["steps_to_goal"])
    for path in Path("whole/runs").iterdir():
        one, two = (json.loads((Path(f) / "runs" / path.name).read_text()) for f in ("cut", "whole"))
        assert one["losses"] == two["losses"]


def test_learning_rates_run_in_sweeps_when_asked(run, here):
    pytest.importorskip("numba")
    arguments = ("race", "x1**2 + x2**2", "-o", "gd", "--lr", "0.1..1:4", "--steps", 10, "--seeds", 5, "--as-is",
                 "--no-pictures", "--json")  # fmt: skip
    swept = json.loads(run(*arguments, "--compile", "--out", "a")[1])
    assert swept["ran"] == {"swept": 20, "sweeps": 1, "alone": {}}
    assert [c["settings"]["lr"] for c in swept["contenders"]] == [0.1, 0.215443, 0.464159, 1.0]
    alone = json.loads(run(*arguments, "--no-compile", "--out", "b")[1])
    assert alone["ran"]["swept"] == 0
    for one, two in zip(swept["contenders"], alone["contenders"], strict=True):
        assert one["final_loss"] == pytest.approx(two["final_loss"], rel=1e-9)
    again = json.loads(run("race", "a/config.toml", "--no-compile", "--no-pictures", "--json")[1])
    assert again["ran"]["swept"] == 0
    assert "leave out --compile" in run("race", "--resume", "a", "--compile")[2]


def test_resume_takes_nothing_else(run):
    run("race", *QUICK, "--seeds", 1, "--out", "a")
    status, _, err = run("race", "--resume", "a", "--epochs", 3)
    assert status == 2
    assert "leave out --epochs" in err
    assert run("race", "--resume", "a", "--no-pictures")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["race", "--epochs", "inf"], "thalweg: --epochs must be a number > 0, got inf."),
        (["race", "--goal", "nan"], "thalweg: --goal must be a finite number, got nan."),
        (["race", "rosenbrock", "--start=1,nan"], "thalweg: --start: numbers separated by commas"),
        (["trace", "x**2", "--start=1e999"], "thalweg: --start: numbers separated by commas"),
        (["race", "-o", "adam:lr=1e400"], "thalweg: -o adam: lr must be a number, got '1e400'."),
        (["race", "--seeds", "0"], "thalweg race: Invalid value for '--seeds'"),
        (["race", "--nope"], "thalweg race: No such option '--nope'"),
        (["trace"], "thalweg trace: Missing argument 'FUNCTION'; see thalweg trace --help."),
        (["atlas", "run", "momentum-03", "--csv", "no/a.csv"], "thalweg: --csv: there is no folder no."),
        (["race", "one.csv"], "thalweg: data.csv: the target 'b' of one.csv has one class only, 'yes'."),
        (["race", "one.csv", "--target", "zz"], "thalweg: data.csv: one.csv has no column 'zz'; it has a, b."),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(run, here, arguments, message):
    (here / "one.csv").write_text("a,b\n1,yes\n2,yes\n")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert [p.name for p in here.iterdir()] == ["one.csv"]


def test_an_expression_longer_than_the_name_of_a_file_can_be(run):
    text = "+".join(["x**2"] * 100)
    status, out, _ = run("trace", text, "--start=1", "--no-picture", "--steps", 1, "-o", "gd:lr=0.001")
    assert (status, out) == (0, "epoch 1, x 0.800000\n")


def test_what_the_system_refuses_is_one_line(run, here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thalweg.cli.catalogue.print_lists", full)
    status, _, err = run("list")
    assert (status, err) == (1, "thalweg: the output cannot be written (No space left on device).\n")


def test_an_entry_of_the_atlas_gives_its_numbers_without_a_picture(run, here):
    status, _, err = run("atlas", "run", "momentum-03", "--csv", "a.csv", "--no-picture")
    assert status == 0
    assert "The numbers are in a.csv" in err
    assert [p.name for p in here.iterdir()] == ["a.csv"]


def test_one_of_a_thing_is_no_plural(run):
    out = run("race", "x**2", "--seeds", 1, "--steps", 1, "--as-is", "--no-pictures", "-o", "gd")[1]
    assert "(1 parameter)" in out
    assert "One run of 1 step each" in out


def test_a_run_that_overflows_diverges_without_a_warning(run):
    status, out, err = run("race", "-o", "adam:lr=1e300", "--seeds", 1, "--epochs", 1, "--no-pictures")
    assert status == 0
    assert "Every contender diverged." in out
    assert "Warning" not in err


def test_what_is_shown_of_an_optimizer_is_prose(run):
    out = run("show", "adam")[1]
    assert "`" not in out
    assert ":class:" not in out
    about = run("show", "adam", "--json")[1]
    assert "m = β₁ m + (1-β₁) g" in json.loads(about)["about"]
