"""Random draws: reproducible, of the right distribution, refused where PyTorch refuses."""

import threading

import pytest

import thalweg as tw

N = 20_000


def generator(seed=0):
    return tw.Generator().manual_seed(seed)


DRAWS = {
    "rand": (lambda g: tw.rand(N, generator=g), 0.5, 1 / 12),
    "randn": (lambda g: tw.randn(N, generator=g), 0.0, 1.0),
    "randint": (lambda g: tw.randint(2, 7, (N,), generator=g), 4.0, 2.0),
    "normal": (lambda g: tw.normal(tw.full((N,), 3.0), 2.0, generator=g), 3.0, 4.0),
    "normal, numbers": (lambda g: tw.normal(3.0, 2.0, (N,), generator=g), 3.0, 4.0),
    "bernoulli": (lambda g: tw.bernoulli(tw.full((N,), 0.3), generator=g), 0.3, 0.21),
    "bernoulli, p": (lambda g: tw.bernoulli(tw.zeros(N), 0.3, generator=g), 0.3, 0.21),
    "multinomial": (lambda g: tw.multinomial(tw.tensor([1.0, 0.0, 3.0]), N, True, generator=g), 1.5, 0.75),
    "uniform_": (lambda g: tw.empty(N).uniform_(-1, 3, generator=g), 1.0, 16 / 12),
    "normal_": (lambda g: tw.empty(N).normal_(1, 2, generator=g), 1.0, 4.0),
    "exponential_": (lambda g: tw.empty(N).exponential_(2.0, generator=g), 0.5, 0.25),
    "log_normal_": (lambda g: tw.empty(N).log_normal_(0.0, 0.5, generator=g).log(), 0.0, 0.25),
    "geometric_": (lambda g: tw.empty(N).geometric_(0.4, generator=g), 2.5, 3.75),
    "bernoulli_": (lambda g: tw.empty(N).bernoulli_(0.3, generator=g), 0.3, 0.21),
    "random_": (lambda g: tw.empty(N, dtype=tw.int64).random_(2, 7, generator=g), 4.0, 2.0),
    "cauchy_, its quartiles": (lambda g: tw.empty(N).cauchy_(0, 1, generator=g).abs() < 1, 0.5, 0.25),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_repeat_and_have_the_right_moments(name):
    draw, mean, variance = DRAWS[name]
    first = draw(generator())
    assert tw.equal(first, draw(generator()))
    assert not tw.equal(first, draw(generator(1)))
    values = first.double()
    assert abs(values.mean().item() - mean) < 5 * (variance / N) ** 0.5
    assert abs(values.var().item() - variance) < 0.1 * variance + 1e-12


def test_permutations_and_draws_without_replacement():
    assert sorted(tw.randperm(50, generator=generator()).tolist()) == list(range(50))
    picked = tw.multinomial(tw.tensor([0.0, 1.0, 2.0, 3.0]).expand(200, 4), 3, generator=generator())
    assert all(sorted(row) == [1, 2, 3] for row in picked.tolist())
    first = tw.multinomial(tw.tensor([1.0, 3.0]).expand(N, 2), 1, generator=generator()).double().mean().item()
    assert abs(first - 0.75) < 0.02


def test_the_default_generator_and_its_state():
    tw.manual_seed(5)
    state = tw.get_rng_state()
    a = tw.rand(3)
    with tw.random.fork_rng():
        tw.rand(100)
    b = tw.rand(3)
    tw.set_rng_state(state)
    assert tw.equal(tw.rand(3), a)
    assert tw.equal(tw.rand(3), b)
    assert tw.initial_seed() == 5


def test_draws_do_not_depend_on_the_thread():
    found = {}

    def work(k):
        found[k] = tw.randn(10, generator=generator(k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(tw.equal(found[k], tw.randn(10, generator=generator(k))) for k in range(4))


def test_types_and_shapes():
    assert tw.rand_like(tw.ones(2, 3, dtype=tw.float64)).dtype is tw.float64
    assert tw.randint_like(tw.ones(2, 3), 5).dtype is tw.float32
    assert tw.rand(size=(2, 3)).shape == (2, 3)
    assert tw.randn(()).shape == ()
    assert tw.randint(high=3, size=(2,)).dtype is tw.int64
    assert tw.normal(tw.zeros(3, 1), tw.ones(2)).shape == (3, 2)
    assert tw.randn(2, requires_grad=True).is_leaf


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: tw.rand(2, dtype=tw.int64), RuntimeError),
        (lambda: tw.rand(-1), RuntimeError),
        (lambda: tw.randint(3, 3, (2,)), RuntimeError),
        (lambda: tw.randint(3, 5), TypeError),
        (lambda: tw.randperm(-1), RuntimeError),
        (lambda: tw.normal(0.0, -1.0, (2,)), RuntimeError),
        (lambda: tw.normal(0.0, 1.0), TypeError),
        (lambda: tw.bernoulli(tw.tensor([2.0])), RuntimeError),
        (lambda: tw.bernoulli(tw.tensor([1])), RuntimeError),
        (lambda: tw.multinomial(tw.ones(3), 4), RuntimeError),
        (lambda: tw.multinomial(tw.zeros(3), 1), RuntimeError),
        (lambda: tw.multinomial(tw.tensor([-1.0, 2.0]), 1), RuntimeError),
        (lambda: tw.ones(2).uniform_(1, 0), RuntimeError),
        (lambda: tw.ones(2, dtype=tw.int64).normal_(), RuntimeError),
        (lambda: tw.ones(2).exponential_(0.0), RuntimeError),
        (lambda: tw.ones(2, requires_grad=True).uniform_(), RuntimeError),
        (lambda: tw.Generator("cuda"), RuntimeError),
    ],
)
def test_refusals(call, error):
    with pytest.raises(error):
        call()
