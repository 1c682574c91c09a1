"""Printed figures come out as printed: traces to six decimals, the first steps of the method of least squares."""

import json
from pathlib import Path

import pytest

import thalweg as tw
from thalweg import lab, problems
from thalweg.lab.trace import line

FIGURES = json.loads((Path(__file__).parents[1] / "data" / "figures.json").read_text())
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("figure", FIGURES["traces"], ids=lambda f: f["id"])
def test_a_trace_ends_as_printed(figure):
    problem = problems.expression(figure["function"])
    contender = lab.parse_contender(figure["contender"], problem)
    path = lab.trace(problem, contender, tuple(figure["start"]), figure["steps"])
    ends = [f"{k} {v:f}" for k, v in figure["expected"].items() if k != "f"]
    printed = figure["printed"] or ", ".join([f"epoch {figure['steps']}", *ends])
    assert line(problem, path) == printed
    if "f" in figure["expected"]:
        assert f"{path.values[-1]:f}" == f"{figure['expected']['f']:f}"


def sse(a, b):
    return (2 - a - b) ** 2 + (4 - 3 * a - b) ** 2


def test_the_sum_of_squares_of_two_points():
    a, b = tw.tensor(0.0, requires_grad=True), tw.tensor(0.0, requires_grad=True)
    optimizer = tw.optim.SGD([a, b], lr=0.01)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        s = sse(a, b)
        s.backward()
        seen.append((f"{a.item():.4f}", f"{b.item():.4f}", f"{s.item():.4f}", a.grad.item(), b.grad.item()))
        optimizer.step()
    assert seen[0] == ("0.0000", "0.0000", "20.0000", -28.0, -12.0)
    assert seen[1][:3] == ("0.2800", "0.1200", "11.8016")
    assert seen[1][3:] == pytest.approx((-21.44, -9.28), abs=1e-5)
    assert seen[2][:2] == ("0.4944", "0.2128")


def test_halving_the_distance():
    w = tw.tensor(0.0, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.5)
    seen = []
    for _ in range(7):
        optimizer.zero_grad()
        ((w - 2) ** 2 / 2).backward()
        optimizer.step()
        seen.append(w.item())
    assert seen == [1, 3 / 2, 7 / 4, 15 / 8, 31 / 16, 63 / 32, 127 / 64]


def test_a_line_through_two_points():
    X = tw.tensor([[1.0, 1.0], [3.0, 1.0]])
    y = tw.tensor([[2.0], [4.0]])
    w = tw.zeros(2, 1, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.01)
    seen = {}
    for step in range(1, 10_001):
        optimizer.zero_grad()
        residual = X @ w - y
        ((residual * residual).sum() / 4).backward()
        if step == 1:
            assert w.grad.tolist() == [[-7.0], [-3.0]]
        optimizer.step()
        if step in (1, 4, 1000, 10_000):
            seen[step] = [f"{v:.4f}" for v in w.detach().numpy().ravel()]
    assert seen == {
        1: ["0.0700", "0.0300"],
        4: ["0.2563", "0.1102"],
        1000: ["1.0372", "0.9102"],
        10_000: ["1.0000", "1.0000"],
    }
    residual = X @ w - y
    assert 0 <= (residual * residual).sum().item() < 1e-8


@pytest.fixture(scope="module")
def airfoil():
    if not (SHARED / "airfoil_self_noise.dat").exists():
        pytest.skip("the airfoil data are not at hand")
    patch = pytest.MonkeyPatch()
    patch.setenv("THALWEG_DATA", str(SHARED))
    yield problems.airfoil()
    patch.undo()


def test_the_airfoil_problem_is_the_known_one(airfoil):
    assert airfoil.optimum == pytest.approx(FIGURES["floor"], abs=1e-6)
    assert airfoil.curvature().limit == pytest.approx(0.953, abs=5e-4)
    assert airfoil.curvature().condition == pytest.approx(12.08, abs=5e-3)
