"""Files of a race that were edited or damaged: each ends in a result or in one sentence, and nothing lands elsewhere."""

import dataclasses
import json
import math
import random
import re
import shutil
from pathlib import Path

import pytest

from thalweg import cli, lab
from thalweg.errors import DataError
from thalweg.lab import schema, store

TABLE = "a,b,y\n" + "\n".join(f"{k % 7},{k * k % 11},{k % 7 - 2 * (k * k % 11) + k % 3}" for k in range(40)) + "\n"
QUICK = ["--no-pictures", "--no-explain", "--no-compile"]
VALUES = [
    "-1", "0", "1", "2", "99999999", "-0.5", "1e-300", "1e300", "1e999", "nan", "-inf", "true", '""', '"x"', '"../../evil"',
    '"a/b"', '".."', '"nul\\u0000"', '"sgd"', '"adam"', '"named"', '"csv"', '"expression"', "[]", "[1]", "[1, 2]", '["lr"]',
    "[[1]]", "{}", "{ a = 1 }", "1979-05-27", "9" * 400, "9" * 5000, "[" * 3000, '"' + "x1+" * 50 + 'x1"', "'''\n'''",
]  # fmt: skip
JSON = [None, {}, [], [None], "x", "", 0, -1, 3, 1.5, True, 10**30, [0, 1], {"a": 1}, "../x"]


def run(capsys, *arguments):
    """Return the exit status and what was written on stderr, progress left out."""
    with pytest.raises(SystemExit) as done:
        cli.main([str(a) for a in arguments])
    lines = capsys.readouterr().err.splitlines()
    return done.value.code, [line for line in lines if line.startswith(("thalweg", "Traceback"))]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Return a folder with two finished races: a tuned one on a table, and one on an expression as it is."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "t.csv").write_text(TABLE)
    common = ["-o", "adam:lr=0.1", "-o", "momentum", "--steps", "4", *QUICK]
    races = {
        "table": [folder / "t.csv", "--seeds", "2", "--trials", "3"],
        "function": ["x1**2 + 3*x2**2", "--seeds", "2", "--as-is"],
    }
    for name, more in races.items():
        with pytest.raises(SystemExit) as done:
            cli.main([str(a) for a in ["race", *more, *common, "--out", folder / name]])
        assert done.value.code == 0
    return folder


def edited(text, rng):
    """Return a configuration with one to three edits: of characters, of lines, and of values."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        lines = text.split("\n")
        k = rng.randrange(len(lines))
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            text = text[:at] + text[at + rng.randint(1, 4) :]
        elif kind == 1:
            text = text[:at] + rng.choice('"[]{}=.,\n#x9-\0é') + text[at:]
        elif kind == 2:
            text = text[:at]
        elif kind == 3:
            text = "\n".join(lines[:k] + lines[k + 1 :])
        elif kind == 4:
            text = "\n".join([*lines[:k], lines[rng.randrange(len(lines))], *lines[k:]])
        else:
            pairs = [j for j, line in enumerate(lines) if " = " in line] or [k]
            j = rng.choice(pairs)
            lines[j] = lines[j].split(" = ")[0] + " = " + rng.choice(VALUES)
            text = "\n".join(lines)
    return text


def damaged(path, rng):
    """Damage one file of a race's folder."""
    kind = rng.randrange(7)
    content = path.read_bytes()
    at = rng.randrange(len(content) + 1)
    if kind == 0:
        path.write_bytes(content[:at])
    elif kind == 1:
        path.write_bytes(content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :])
    elif kind == 2:
        path.unlink()
        path.mkdir()
    elif path.suffix == ".json":
        data = json.loads(content)
        target = data[rng.randrange(len(data))] if isinstance(data, list) else data
        key = rng.choice(list(target))
        if kind == 3:
            del target[key]
        elif kind == 4 and isinstance(target[key], (list, dict)) and target[key]:
            inner = target[key]
            inner[rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))] = rng.choice(JSON)
        else:
            target[key] = rng.choice(JSON)
        path.write_text(json.dumps(data if rng.random() < 0.9 else rng.choice(JSON)))
    else:
        path.write_text(edited(content.decode(), rng))


def everything(folder):
    return {p for p in folder.rglob("*") if p.is_file()}


def outcome(capsys, folder, allowed, *arguments):
    """Run, and check that it ended as it may: a result, or one sentence, with all files in the race's own folder."""
    before = everything(folder.parent)
    status, said = run(capsys, *arguments)
    assert status in (0, 1, 2), said
    assert len(said) == (status != 0), said
    assert not [line for line in said if "Traceback" in line]
    strays = {p for p in everything(folder.parent) - before if allowed not in p.parents}
    assert not strays
    return status, said


def try_edits(tmp_path, begun, capsys, seeds):
    said_line = 0
    for seed in seeds:
        rng = random.Random(seed)
        base = begun / rng.choice(["table", "function"]) / "config.toml"
        text = edited(base.read_text(), rng)
        if re.search(r"(seeds|trials|steps|epochs|tuning_seeds) = \d{3,}", text):
            text = re.sub(r"(seeds|trials|steps|epochs|tuning_seeds) = \d{3,7}$", r"\1 = 3", text, flags=re.M)
        folder = tmp_path / f"e{seed}" / "deep" / "er"
        folder.mkdir(parents=True)
        (folder / "e.toml").write_text(text, encoding="utf-8")
        status, said = outcome(
            capsys, tmp_path, folder / "out", "race", folder / "e.toml", "--out", folder / "out", *QUICK[:2]
        )
        said_line += status != 0 and "line" in said[0]
        shutil.rmtree(tmp_path / f"e{seed}")
    return said_line


def try_damage(tmp_path, begun, capsys, seeds):
    for seed in seeds:
        rng = random.Random(seed)
        folder = tmp_path / f"d{seed}" / "race"
        shutil.copytree(begun / rng.choice(["table", "function"]), folder)
        files = sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".toml"))
        damaged(rng.choice(files), rng)
        if rng.random() < 0.3:
            shutil.rmtree(folder / "runs")
        text = (folder / "config.toml").read_text(errors="replace") if (folder / "config.toml").is_file() else ""
        if re.search(r"(seeds|trials|steps|epochs) = \d{3,}", text):
            continue  # a long race, and a right one
        outcome(capsys, tmp_path, folder, "race", "--resume", folder, *QUICK[:2])
        shutil.rmtree(tmp_path / f"d{seed}")


def test_edited_configurations_end_in_a_result_or_one_sentence(tmp_path, begun, capsys):
    assert try_edits(tmp_path, begun, capsys, range(400)) > 150


def test_damaged_folders_end_in_a_result_or_one_sentence(tmp_path, begun, capsys):
    try_damage(tmp_path, begun, capsys, range(200))


@pytest.mark.slow
def test_thousands_of_edits_and_damages(tmp_path, begun, capsys):
    assert try_edits(tmp_path, begun, capsys, range(1000, 3500)) > 500
    try_damage(tmp_path, begun, capsys, range(1000, 2500))


def replaced(begun, old, new, name="function"):
    text = (begun / name / "config.toml").read_text()
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("seeds = 2", "seeds = 99999999", 3, "seeds must be an integer from 1 to 10000, got 99999999"),
        ("seeds = 2", "seeds = true", 3, "seeds must be an integer from 1 to 10000, got True"),
        ("seeds = 2\n", "", None, "seeds is missing"),
        ("seed = 0", "sede = 0", 4, "sede is no key of a race"),
        ("steps = 4", "steps = 4\nepochs = 2.0", 5, "must not stand beside epochs"),
        ("steps = 4", "steps = 0", 5, "steps must be an integer from 1 to 100000000, got 0"),
        ('label = "adam"', 'label = "../../../evil"', 13, "label must be 1 to 80 letters"),
        ('label = "adam"', 'label = "Momentum"', 21, "must differ from every other label"),
        ('label = "adam"', 'label = ""', 13, "label must be 1 to 80 letters"),
        ('method = "adam"', 'method = "adm"', 14, "must be a method, got 'adm'"),
        ("lr = 0.1", "lr = -0.1", 18, "lr must be a number"),
        ("lr = 0.1", "lr = nan", 18, "settings.lr must be a finite number"),
        ("lr = 0.1", "rate = 0.1", 18, "is no setting of adam; there are lr"),
        ("batch = 0", "batch = 5", 15, "batch must be 0 on a function, got 5"),
        ('text = "x1', 'text = "x1 + q + ', 10, "q"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(tmp_path, begun, old, new, line, sentence):
    path = tmp_path / "e.toml"
    path.write_text(replaced(begun, old, new))
    with pytest.raises(DataError) as error:
        lab.RaceConfig.from_toml(path)
    assert str(error.value).startswith(f"{path}, line {line}: " if line else f"{path}: ")
    assert sentence in str(error.value)


def test_a_line_is_found_in_any_form_of_toml():
    text = 'a = 1\nb.c = [\n  1,\n  2,\n]\nd = { e = 3, f = """\n\n""" }\n[[g]]\nh = 1\n[[g]]\n\nh = 2\n'
    places = {("a",): 1, ("b", "c"): 2, ("d", "f"): 6, ("g", 0, "h"): 10, ("g", 1, "h"): 13, ("g", 1): 11, (): None}
    assert {place: schema.line_of(text, place) for place in places} == places


def test_a_run_of_another_contender_is_no_run_of_this(tmp_path, begun):
    folder = tmp_path / "race"
    shutil.copytree(begun / "function", folder)
    shutil.copy(folder / "runs" / "adam-0.json", folder / "runs" / "momentum-0.json")
    with pytest.raises(DataError, match=r"momentum-0\.json is damaged \(a run of adam, seed 0, does not belong here\)"):
        store.Store.open(folder).records()


def test_a_round_of_tuning_with_a_run_missing_is_damaged(tmp_path, begun, capsys):
    folder = tmp_path / "race"
    shutil.copytree(begun / "table", folder)
    path = next((folder / "tuning").iterdir())
    path.write_text(json.dumps(json.loads(path.read_text())[1:]))
    status, said = run(capsys, "race", "--resume", folder, *QUICK[:2])
    assert status == 1
    assert "runs are missing" in said[0]
    path.unlink()
    assert run(capsys, "race", "--resume", folder, *QUICK[:2])[0] == 0


def test_a_held_out_loss_without_a_finite_value_is_not_read_as_one_that_there_is_not():
    common = {"contender": "adam", "seed": 0, "status": "done", "steps": [0], "epochs": [0.0], "seconds": [0.0]}
    for validation in (math.inf, math.nan, 1.5, None):
        record = lab.Record(**common, losses=[0.5], validation=validation, test=validation)
        again = lab.Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))
        assert (again.choose_by, again.report) == (record.choose_by, record.report)


def test_the_schema_knows_every_field_of_a_run():
    assert set(schema.RECORD.forms) == {field.name for field in dataclasses.fields(lab.Record)}


def test_what_a_race_writes_keeps_to_the_schema(begun):
    for folder in (begun / "table", begun / "function"):
        for path in sorted((folder / "runs").iterdir()):
            schema.check(json.loads(path.read_text()), schema.RECORD)
        manifest = json.loads((folder / "manifest.json").read_text())
        schema.check(manifest, schema.MANIFEST)
        config = lab.RaceConfig.from_toml(Path(folder / "config.toml"))
        assert config.to_toml() == (folder / "config.toml").read_text()
