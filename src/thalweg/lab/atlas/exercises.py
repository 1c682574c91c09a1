"""Runners: the exercises about descent, convexity, noise and momentum. Each returns the truths it found, or figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import analysis, constraints
from ...minimize import bisection, golden_section, minimize
from ...problems.expression import parse
from .traces import contraction, falling, noisy, path

__all__ = ["EXERCISES"]

Array = np.ndarray[Any, Any]
VALLEY, TURNED = "0.1*x1**2 + 2*x2**2", "0.1*(x1 + x2)**2 + 2*(x1 - x2)**2"
WAVE = "x*cos(0.15*pi*x)"


def wigner(n: int = 20, draws: int = 2000) -> dict[str, Any]:
    """Eigenvalues of symmetric matrices with entries ±1: symmetric overall, not independent within a matrix."""
    rng = np.random.default_rng(0)
    m = rng.choice([-1.0, 1.0], (draws, n, n))
    m = np.triu(m) + np.triu(m, 1).transpose(0, 2, 1)
    values = np.linalg.eigvalsh(m)
    share = (values > 0).mean()
    counts = (values > 0).sum(axis=1)
    return {
        "symmetric": abs(share - 0.5) < 0.01 and abs(values.mean()) < 0.05,
        "independent": counts.var() > 0.5 * n * 0.25,  # independent signs would give a variance of n/4
    }


def saddle_escape(lr: float = 0.1) -> dict[str, Any]:
    """Gradient descent on x² - y² from (1, ε): y grows by 1 + 2·lr a step, so leaving takes about log(1/ε) steps."""
    good = True
    for eps in (1e-3, 1e-6, 1e-9):
        points = path("x1**2 - x2**2", "SGD", {"lr": lr}, [1.0, eps], 300)
        steps = int(np.argmax(np.abs(points[:, 1]) >= 1))
        good &= abs(steps - math.log(1 / eps) / math.log(1 + 2 * lr)) <= 1
    found = minimize(parse("x1**2 - x2**2 + x2**4"), [1.0, 1e-3], method="abs-newton")
    return {
        "escape time matches log(1/eps)/log(1+2 lr)": good,
        "abs-newton leaves": abs(abs(found.x[1]) - 0.5**0.5) < 1e-6,
    }


def convex_families() -> dict[str, Any]:
    """Chords of norm balls, of the larger and the smaller of two convex functions, and of log-sum-exp."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000, 3))

    def ball(p: float) -> bool:
        x, y = (v / ((np.abs(v) ** p).sum(1) ** (1 / p))[:, None] for v in (a, b))
        return bool(((np.abs((x + y) / 2) ** p).sum(1) <= 1 + 1e-12).all())

    def below(f: Callable[[Array], Array]) -> bool:
        return bool((f((a + b) / 2) <= (f(a) + f(b)) / 2 + 1e-12).all())

    def one(x: Array) -> Array:
        return np.asarray((x**2).sum(1))

    def two(x: Array) -> Array:
        return np.asarray(((x - 1) ** 2).sum(1))

    return {
        "norm balls p >= 1": all(ball(p) for p in (1, 1.5, 2, 4)),
        "norm balls p < 1": ball(0.5),
        "max": below(lambda x: np.maximum(one(x), two(x))),
        "min": below(lambda x: np.minimum(one(x), two(x))),
        "log-sum-exp": below(lambda x: np.log(np.exp(x).sum(1))),
    }


def subspace() -> dict[str, Any]:
    """The projection onto {x: Wx = 0} as a matrix."""
    W = np.random.default_rng(0).normal(size=(2, 5))
    M = constraints.project_affine(np.eye(5), W, np.zeros(2)).numpy()
    return {"idempotent": np.allclose(M @ M, M), "symmetric": np.allclose(M, M.T)}


def non_expansive() -> dict[str, Any]:
    """Projections of pairs of points onto six sets."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(scale=2, size=(2, 200, 5))
    sets: list[Any] = [
        constraints.L2Ball(1.0), constraints.L1Ball(1.0), constraints.Simplex(), constraints.Box(-1, 0.5),
        constraints.Affine(rng.normal(size=(2, 5)), [0.5, -1.0]), constraints.HalfSpace(np.arange(1.0, 6.0), 0.3),
    ]  # fmt: skip
    worst = 0.0
    for s in sets:
        moved = np.linalg.norm(s.project(x).numpy() - s.project(y).numpy(), axis=1)
        worst = max(worst, float((moved / np.linalg.norm(x - y, axis=1)).max()))
    return {"worst ratio <= 1": worst <= 1 + 1e-9}


def rates() -> dict[str, Any]:
    """Measured contraction against |1 - ηλ|."""
    worst = 0.0
    for lr in (0.05, 0.2, 0.5, 0.9):
        for curvature in (0.5, 1.0, 2.0):
            worst = max(worst, abs(contraction(lr, curvature, 10) - abs(1 - lr * curvature) ** 10))
    return {"largest difference < 1e-6": worst < 1e-6}


def line_search() -> dict[str, Any]:
    """The minimum of log(eˣ + e^(-2x-3)), with and without the derivative."""

    def f(x: float) -> float:
        return float(np.logaddexp(x, -2 * x - 3))

    def slope(x: float) -> float:
        p = 1 / (1 + math.exp(min(3 * x + 3, 700)))  # the weight of the second term
        return 1 - 3 * p

    best, _ = bisection(slope, -10, 10, tol=1e-15)
    forty, _ = bisection(slope, -10, 10, tol=0.0, max_iter=40)
    golden, _ = golden_section(f, -10, 10)
    return {"x*": best, "f*": f(best), "bisection x": forty, "golden x": golden}


def zigzag(gamma: float = 10.0, steps: int = 5) -> dict[str, Any]:
    """Exact line search on a narrow valley."""
    f = parse(f"(x1**2 + {gamma!r}*x2**2)/2")
    options = {"maxiter": steps, "gtol": 0.0}
    found = minimize(f, [gamma, 1.0], method="gd", line_search="bisection", options=options)
    return {"x1": float(found.x[0]), "x2": float(found.x[1])}


def light_newton() -> dict[str, Any]:
    """The diagonal solves the valley in a step; absolute eigenvalues descend on the wave, jumping basins."""
    one = minimize(parse(VALLEY), [-5.0, -2.0], method="diagonal-newton")
    wave = minimize(parse(WAVE), [10.0], method="abs-newton", options={"maxiter": 10, "gtol": 0.0})
    return {"steps on the axes": float(one.nit), "x after 10": float(wave.x[0]), "f": float(wave.fun)}


def rotated_newton() -> dict[str, Any]:
    """The turned valley's Hessian, and its condition number after scaling by the diagonal."""
    h = analysis.hessian(parse(TURNED), [-5.0, -2.0])
    values = np.linalg.eigvalsh(h)
    return {
        "kappa": analysis.diagonal_preconditioning(h)["after"],
        "smallest": float(values[0]),
        "largest": float(values[-1]),
    }


def schedule_distance() -> dict[str, Any]:
    """Mean and deviation of noisy runs under three schedules against the recursion of both."""
    good = True
    for schedule, steps in (("constant", 50), ("exponential", 200), ("polynomial", 50)):
        found = noisy(schedule, steps, 0.1, runs=2000, seed=1)
        for j, (x0, curvature) in enumerate(((-5.0, 2.0), (-2.0, 4.0)), 1):
            mean, var = x0, 0.0
            for k in range(steps):
                rate = 0.1 * falling(schedule, k + 2)
                mean, var = (1 - rate * curvature) * mean, (1 - rate * curvature) ** 2 * var + rate * rate
            for figure, want in (("mean", mean), ("sd", var**0.5)):
                got, error = found[f"x{j} {figure}"]
                good &= abs(got - want) <= 5 * error
    return {"within 5 standard errors": good}


def noise_as_data(steps: int = 50, lr: float = 0.1) -> dict[str, Any]:
    """Noise n on the gradient of x1² + 2x2² is data w = -n/λ in (x1 - w1)² + 2(x2 - w2)²."""
    noise = np.random.default_rng(0).normal(size=(steps, 2))
    curvature = np.array([2.0, 4.0])
    x = y = np.array([-5.0, -2.0])
    for n in noise:
        x = x - lr * (curvature * x + n)
        w = -n / curvature
        y = y - lr * curvature * (y - w)
    sd = 1 / curvature
    return {"identical": np.allclose(x, y, atol=1e-12), "sd(w1)": float(sd[0]), "sd(w2)": float(sd[1])}


def uneven() -> dict[str, Any]:
    """Curvatures 100 and 1: plain SGD must go at the rate of the first, AdaGrad does not."""
    f = "50*x1**2 + 0.5*x2**2"
    sgd = path(f, "SGD", {"lr": 0.015}, [-1.0, -1.0], 50)[-1]
    adagrad = path(f, "Adagrad", {"lr": 0.5}, [-1.0, -1.0], 50)[-1]
    return {"AdaGrad beats SGD": abs(adagrad).max() < abs(sgd).max()}


def count_minima(span: float = 20.0) -> dict[str, Any]:
    """Count the local minima of x²(1 + sin x): sign changes of the derivative from - to +."""
    x = np.linspace(-span, span, 400_001)
    slope = 2 * x * (1 + np.sin(x)) + x**2 * np.cos(x)
    return {"on [-20, 20]": int(((slope[:-1] < 0) & (slope[1:] >= 0)).sum())}


def momentum_pairs() -> dict[str, Any]:
    """Rate 0.4 and momentum 0.5 in the valley: inside heavy ball's region, outside Nesterov's."""
    plain = path(VALLEY, "SGD", {"lr": 0.4, "momentum": 0.5}, [-5.0, -2.0], 20)[-1]
    ahead = path(VALLEY, "SGD", {"lr": 0.4, "momentum": 0.5, "nesterov": True}, [-5.0, -2.0], 20)[-1]
    return {
        "heavy ball x1": float(plain[0]), "heavy ball x2": float(plain[1]),
        "nesterov x1": float(ahead[0]), "nesterov x2": float(ahead[1]),
    }  # fmt: skip


def powers_of_two(steps: int = 100) -> dict[str, Any]:
    """½ Σ 2^-i x_i² in ten dimensions from all ones."""
    f = "(" + " + ".join(f"{2.0**-i!r}*x{i + 1}**2" for i in range(10)) + ")/2"
    found = {}
    runs = {"gd": {"lr": 1.0}, "momentum": {"lr": 1.0, "momentum": 0.9}, "slower": {"lr": 0.5, "momentum": 0.9}}
    for name, settings in runs.items():
        end = path(f, "SGD", settings, [1.0] * 10, steps)[-1]
        found[f"{name} f"] = float(np.asarray(parse(f)(end)))
        found[f"{name} max"] = float(np.abs(end).max())
    return found


def quadratic_minimum() -> dict[str, Any]:
    """½xᵀQx + cᵀx + b has its minimum b - ½cᵀQ⁻¹c at -Q⁻¹c."""
    rng = np.random.default_rng(0)
    m = rng.normal(size=(4, 4))
    Q, c, b = m @ m.T + np.eye(4), rng.normal(size=4), 1.5

    def f(x: Any) -> Any:
        return (x * (Q @ x)).sum() / 2 + (x * c).sum() + b

    found = minimize(f, np.zeros(4), method="newton")
    solved = np.linalg.solve(Q, c)
    return {"x* right": np.allclose(found.x, -solved), "minimum right": np.isclose(found.fun, b - 0.5 * c @ solved)}


def adagrad_rotated() -> dict[str, Any]:
    """AdaGrad on the valley turned by 45 degrees, at two rates, and on the valley itself."""
    found = {}
    for name, f, lr in (("0.4", TURNED, 0.4), ("2", TURNED, 2.0), ("unrotated", VALLEY, 0.4)):
        end = path(f, "Adagrad", {"lr": lr, "eps": 1e-6, "eps_inside_sqrt": True}, [-5.0, -2.0], 20)[-1]
        found[f"{name} x1"], found[f"{name} x2"] = float(end[0]), float(end[1])
    return found


def gershgorin() -> dict[str, Any]:
    """Discs of random symmetric matrices, and the diagonal after scaling by it."""
    rng = np.random.default_rng(0)
    inside, unit = True, True
    for _ in range(50):
        m = rng.normal(size=(5, 5))
        m = m @ m.T + np.eye(5)
        d = analysis.gershgorin(m)
        values = np.linalg.eigvalsh(m)
        inside &= bool((np.abs(values[:, None] - d.centers) <= d.radii + 1e-9).any(axis=1).all())
        s = 1 / np.sqrt(np.diag(m))
        unit &= np.allclose(np.diag(m * np.outer(s, s)), 1)
    return {"every eigenvalue in a disc": inside, "unit diagonal": unit}


def gentle_decay(steps: int = 100) -> dict[str, Any]:
    """Dividing by the fourth root of the sum, instead of the square root, keeps larger steps."""
    a = np.array([0.2, 4.0])
    ends = {}
    for power in (0.5, 0.25):
        x, s = np.array([-5.0, -2.0]), np.zeros(2)
        for _ in range(steps):
            g = a * x
            s = s + g * g
            x = x - 0.4 * g / (s + 1e-6) ** power
        ends[power] = float((a * x * x).sum() / 2)
    return {"gentler is nearer": ends[0.25] < ends[0.5]}


def rms_one() -> dict[str, Any]:
    """With α = 1 the average stays 0, and a step is lr·g/√eps."""
    settings = {"lr": 0.4, "alpha": 1.0, "eps": 1e-6, "eps_inside_sqrt": True}
    end = path(VALLEY, "RMSprop", settings, [-5.0, -2.0], 3)[-1]
    return {"x1": float(end[0]), "x2": float(end[1])}


def rms_rotated() -> dict[str, Any]:
    """RMSProp on the turned valley."""
    settings = {"lr": 0.4, "alpha": 0.9, "eps": 1e-6, "eps_inside_sqrt": True}
    end = path(TURNED, "RMSprop", settings, [-5.0, -2.0], 20)[-1]
    return {"x1": float(end[0]), "x2": float(end[1]), "f": float(np.asarray(parse(TURNED)(end)))}


def adadelta_decays() -> dict[str, Any]:
    """Adadelta at four decays, 500 steps: all lower the function."""
    ends = [
        path(VALLEY, "Adadelta", {"lr": 1.0, "rho": r, "eps": 1e-5}, [-5.0, -2.0], 500)[-1]
        for r in (0.5, 0.9, 0.95, 0.99)
    ]
    values = [float(np.asarray(parse(VALLEY)(end))) for end in ends]
    return {"all fall": max(values) < 10.5}


def adadelta_lean(steps: int = 50, rho: float = 0.9, eps: float = 1e-5) -> dict[str, Any]:
    """Updating the second average by (Δ+eps)/(s+eps)·g² needs no stored step."""
    a = np.array([0.2, 4.0])
    x = np.array([-5.0, -2.0])
    s, delta = np.zeros(2), np.zeros(2)
    for _ in range(steps):
        g = a * x
        s = rho * s + (1 - rho) * g * g
        scale = (delta + eps) / (s + eps)
        x = x - np.sqrt(scale) * g
        delta = rho * delta + (1 - rho) * scale * g * g
    end = path(VALLEY, "Adadelta", {"lr": 1.0, "rho": rho, "eps": eps}, [-5.0, -2.0], steps)[-1]
    return {"identical": np.allclose(x, end, rtol=1e-10)}


def adadelta_free() -> dict[str, Any]:
    """Adadelta in the valley: the first steps depend on eps alone, so it starts slowly."""
    found = {}
    for eps, steps in ((1e-5, 20), (1e-5, 500), (1e-6, 500)):
        end = path(VALLEY, "Adadelta", {"lr": 1.0, "rho": 0.9, "eps": eps}, [-5.0, -2.0], steps)[-1]
        label = f"{'1e-5' if eps == 1e-5 else '1e-6'}, {steps}, "
        found[f"{label}x1"], found[f"{label}x2"] = float(end[0]), float(end[1])
    return found


def three_adaptive() -> dict[str, Any]:
    """Adadelta, AdaGrad and RMSProp in the valley."""
    runs = (
        ("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-5}, 1000),
        ("Adagrad", {"lr": 1.0}, 400),
        ("RMSprop", {"lr": 0.02}, 800),
    )
    ends = [path(VALLEY, m, s, [-5.0, -2.0], n)[-1] for m, s, n in runs]
    return {"all converge": all(float(np.asarray(parse(VALLEY)(end))) < 0.02 for end in ends)}


def adam_rates() -> dict[str, Any]:
    """Adam at seven rates, 100 steps: too small crawls, too large overshoots."""
    grid = [10.0**k for k in (-3, -2, -1, -0.5, 0, 0.5, 1)]
    values = [float(np.asarray(parse(VALLEY)(path(VALLEY, "Adam", {"lr": lr}, [-5.0, -2.0], 100)[-1]))) for lr in grid]
    best = int(np.argmin(values))
    return {"a middle rate is best": 0 < best < len(grid) - 1}


def adam_rewritten(steps: int = 50, lr: float = 0.1) -> dict[str, Any]:
    """Adam with the corrections folded into the rate and into eps."""
    a = np.array([0.2, 4.0])
    x = np.array([-5.0, -2.0])
    m, v = np.zeros(2), np.zeros(2)
    b1, b2, eps = 0.9, 0.999, 1e-8
    for t in range(1, steps + 1):
        g = a * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        root = math.sqrt(1 - b2**t)
        x = x - lr * root / (1 - b1**t) * m / (np.sqrt(v) + eps * root)
    end = path(VALLEY, "Adam", {"lr": lr}, [-5.0, -2.0], steps)[-1]
    return {"identical": np.allclose(x, end, rtol=1e-9)}


def noise_floor() -> dict[str, Any]:
    """SGD with unit noise on λx²/2 settles at a variance of ηs²/(λ(2-ηλ))."""
    rng = np.random.default_rng(0)
    good = True
    for lr in (0.4, 0.1):
        x = np.zeros(20_000)
        for _ in range(int(20 / lr)):
            x = x - lr * (x + rng.normal(size=x.size))
        want = lr / (2 - lr)
        good &= abs(x.var() / want - 1) < 0.05
    return {"within 5%": good}


def adam_yogi(steps: int = 20_000) -> dict[str, Any]:
    """Gradient 3 every third step, else -1, on [-1, 1]: the best point is -1 (Reddi, Kale & Kumar 2018)."""
    b2, a, eps = 0.1, 0.5, 1e-8
    found: dict[str, Any] = {}
    for name in ("adam", "yogi", "amsgrad"):
        x = v = top = total = 0.0
        for t in range(1, steps + 1):
            g = 3.0 if t % 3 == 1 else -1.0
            g2 = g * g
            if name == "yogi":
                v += (1 - b2) * float(np.sign(g2 - v)) * g2
            else:
                v = b2 * v + (1 - b2) * g2
            top = max(top, v)
            scale = top if name == "amsgrad" else v
            x = min(1.0, max(-1.0, x - a / math.sqrt(t) * g / (math.sqrt(scale) + eps)))
            total += x
        found[name], found[f"{name} mean"] = x, total / steps
    return found


def best_constant() -> dict[str, Any]:
    """Gradient descent on the valley at constant rates: the best is near 2/(L + μ)."""
    grid = np.linspace(0.05, 0.6, 23)
    values = [float(np.asarray(parse(VALLEY)(path(VALLEY, "SGD", {"lr": lr}, [-5.0, -2.0], 50)[-1]))) for lr in grid]
    best = int(np.argmin(values))
    return {"found inside the grid": 0 < best < len(grid) - 1 and abs(grid[best] - 2 / 4.2) < 0.05}


def poly_exponents() -> dict[str, Any]:
    """The polynomial schedule lr(1 - t/T)^p."""
    from ...optim.schedules import polynomial

    return {
        "start": polynomial(0, 1.0, 20, 2.0),
        "middle p=2": polynomial(10, 1.0, 20, 2.0),
        "end": polynomial(30, 1.0, 20, 2.0),
    }


def warmup_lengths() -> dict[str, Any]:
    """On a function steep at its start, some warm-up lets a rate work that blows up without it."""
    f = parse("x1**2 + x1**4")
    ends = {}
    for warm in (0, 5, 20):
        x = np.array([3.0])
        for t in range(60):
            rate = 0.08 * min(1.0, (t + 1) / (warm + 1))
            x = x - rate * (2 * x + 4 * x**3)
            if not np.isfinite(x).all() or abs(x[0]) > 1e6:
                x = np.array([np.inf])
                break
        ends[warm] = float(np.asarray(f(x))) if np.isfinite(x).all() else math.inf
    return {"some warm-up helps": min(ends[5], ends[20]) < ends[0]}


def sgld(lr: float = 0.5, chains: int = 20_000, steps: int = 200) -> dict[str, Any]:
    """X ← x - (η/2)x + √η n: the variance settles at 1/(1 - η/4)."""
    rng = np.random.default_rng(0)
    x = np.zeros(chains)
    for _ in range(steps):
        x = x - lr / 2 * x + math.sqrt(lr) * rng.normal(size=chains)
    want = 1 / (1 - lr / 4)
    return {
        "within 5 standard errors": abs(x.var() - want) <= 5 * want * math.sqrt(2 / chains),
        "variance": float(x.var()),
    }


EXERCISES: dict[str, Callable[[], dict[str, Any]]] = {
    "wigner": wigner, "saddle_escape": saddle_escape, "convex_families": convex_families, "subspace": subspace,
    "non_expansive": non_expansive, "rates": rates, "line_search": line_search, "zigzag": zigzag,
    "light_newton": light_newton, "rotated_newton": rotated_newton, "schedule_distance": schedule_distance,
    "noise_as_data": noise_as_data, "uneven": uneven, "count_minima": count_minima, "momentum_pairs": momentum_pairs,
    "powers_of_two": powers_of_two, "quadratic_minimum": quadratic_minimum, "adagrad_rotated": adagrad_rotated,
    "gershgorin": gershgorin, "gentle_decay": gentle_decay, "rms_one": rms_one, "rms_rotated": rms_rotated,
    "adadelta_decays": adadelta_decays, "adadelta_lean": adadelta_lean, "adadelta_free": adadelta_free,
    "three_adaptive": three_adaptive, "adam_rates": adam_rates, "adam_rewritten": adam_rewritten,
    "noise_floor": noise_floor, "adam_yogi": adam_yogi, "best_constant": best_constant,
    "poly_exponents": poly_exponents, "warmup_lengths": warmup_lengths, "sgld": sgld,
}  # fmt: skip
