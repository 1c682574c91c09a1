"""What a draw of random numbers means in a function that is evaluated once per slice, and graphs of Jacobians."""

import pytest

import thalweg as tw
from thalweg import func
from thalweg.autograd import functional

DRAWS = {
    "rand": lambda x: x + tw.rand(5),
    "dropout": lambda x: tw.nn.functional.dropout(x + 1, 0.5),
    "bernoulli": lambda x: tw.bernoulli(x + 0.5),
    "normal_": lambda x: x.clone().normal_(),
    "randperm": lambda x: x + tw.randperm(5),
    "rand_like": lambda x: tw.rand_like(x),
    "a generator": lambda x, own=tw.Generator().manual_seed(3): x + tw.rand(5, generator=own),
}


@pytest.mark.parametrize("name", DRAWS)
def test_vmap_randomness(name):
    tw.manual_seed(0)
    x = tw.zeros(3, 5)
    same = func.vmap(DRAWS[name], randomness="same")(x)
    assert (same[0] == same[1]).all()
    assert (same[0] == same[2]).all()
    different = func.vmap(DRAWS[name], randomness="different")(x)
    assert not (different == different[0]).all()
    with pytest.raises(RuntimeError, match="vmap: the function draws random numbers"):
        func.vmap(DRAWS[name])(x)
    tw.rand(2)  # the refusal ended with the call


def test_same_leaves_the_generator_after_one_slice():
    tw.manual_seed(0)
    func.vmap(lambda x: x + tw.rand(2), randomness="same")(tw.zeros(4, 2))
    after = tw.rand(2)
    tw.manual_seed(0)
    tw.rand(2)
    assert (after == tw.rand(2)).all()


@pytest.mark.parametrize(
    ("inner", "outer", "rows_alike", "columns_alike"),
    [("different", "same", True, False), ("same", "different", False, True), ("same", "same", True, True)],
)
def test_nested_randomness(inner, outer, rows_alike, columns_alike):
    draw = func.vmap(func.vmap(lambda x: tw.rand(3), randomness=inner), randomness=outer)
    out = draw(tw.zeros(2, 2))
    assert bool((out[0] == out[1]).all()) is rows_alike
    assert bool((out[0, 0] == out[0, 1]).all()) is columns_alike


def test_columns_of_a_jacobian_draw_once():
    x = tw.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match="jacfwd: the function draws"):
        func.jacfwd(lambda x: x.sum() * tw.rand(2))(x)
    rows = func.jacfwd(lambda x: x.sum() * tw.rand(2), randomness="same")(x)
    assert (rows[:, 0] == rows[:, 1]).all()
    with pytest.raises(ValueError, match="randomness must be"):
        func.vmap(lambda x: x, randomness="never")(x)


@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"])
@pytest.mark.parametrize("tracked", [False, True])
def test_create_graph_whatever_the_mode(name, tracked):
    x = tw.tensor([1.0, 2.0], requires_grad=tracked)
    extra = () if name in ("jacobian", "hessian") else (tw.ones(2),)
    cubed = (lambda x: x**3) if name in ("jacobian", "vjp", "jvp") else lambda x: (x**3).sum()
    with tw.no_grad():
        found = getattr(functional, name)(cubed, x, *extra, create_graph=True)
        plain = getattr(functional, name)(cubed, x, *extra)
        assert not tw.is_grad_enabled()
    for y in found if isinstance(found, tuple) else (found,):
        assert y.requires_grad
    for y in plain if isinstance(plain, tuple) else (plain,):
        assert not y.requires_grad


def test_hessian_of_a_tuple_is_refused():
    with pytest.raises(RuntimeError, match="one tensor of one element, got a tuple of 2"):
        functional.hessian(lambda x: (x.sum(), x.sum()), tw.ones(2))


def test_a_pullback_called_under_no_grad_records_nothing():
    x = tw.tensor(3.0, requires_grad=True)
    y, pull = func.vjp(lambda x: x**2, x)
    with tw.no_grad():
        (g,) = pull(tw.tensor(1.0))
        assert not tw.is_grad_enabled()
    assert y.requires_grad
    assert not g.requires_grad
    assert pull(tw.tensor(1.0))[0].requires_grad
