"""Train LeNet on Fashion-MNIST under the chapter's five schedules and write docs/lenet.md with its picture.

``python docs/make_lenet.py [--epochs 30] [--quick]``. Finished trainings are kept in docs/lenet.json and not repeated.
"""

import argparse
import json
from pathlib import Path

from thalweg.lab.atlas import entries
from thalweg.lab.atlas.training import train_lenet
from thalweg.lab.pictures import training

HERE = Path(__file__).resolve().parent
NAMES = {
    "schedules-01": "constant 0.3",
    "schedules-02": "square root from 0.1",
    "schedules-03": "0.5, halved at 15 and 30",
    "schedules-04": "cosine 0.3 to 0.01 at 20",
    "schedules-05": "warm-up 5, cosine to 20",
}


def main() -> None:
    """Train what is not trained yet, and draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    suffix = "-quick" if given.quick else ""
    kept = HERE / f"lenet{suffix}.json"
    curves = json.loads(kept.read_text()) if kept.exists() else {}
    for entry in entries():
        if entry.kind == "training" and NAMES[entry.id] not in curves:
            settings = entry.settings | {"epochs": given.epochs}
            name = NAMES[entry.id]
            found = train_lenet(
                **settings, quick=given.quick, tell=lambda text, name=name: print(name, text, flush=True)
            )
            curves[name] = {k: [round(v, 6) for v in values] for k, values in found.items()}
            kept.write_text(json.dumps(curves, indent=1) + "\n")
    training(curves).save(HERE / "images" / f"lenet{suffix}", ("png",))
    rows = [
        f"| {name} | {c['loss'][-1]:.3f} | {c['train accuracy'][-1]:.3f} | {c['test accuracy'][-1]:.3f} |"
        for name, c in curves.items()
    ]
    table = "\n".join(["| schedule | training loss | training accuracy | test accuracy |", "|---|---|---|---|", *rows])
    print(table)
    (HERE / f"lenet{suffix}-table.md").write_text(table + "\n")


if __name__ == "__main__":
    main()
