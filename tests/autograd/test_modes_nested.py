"""Modes within modes, in every order: what is entered is left again, after exceptions too, and threads start afresh."""

import itertools
import threading

import pytest

import thalweg as tw
from thalweg import func
from thalweg.autograd import detect_anomaly, forward_ad, graph
from thalweg.core.modes import current

MODES = {
    "anomaly": lambda: detect_anomaly(check_nan=False),
    "inference": tw.inference_mode,
    "no_grad": tw.no_grad,
    "enable_grad": tw.enable_grad,
    "forward": forward_ad.dual_level,
    "saved hooks": lambda: graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    "copies": graph.save_on_cpu,
}


def _state():
    modes = current()
    return (modes.grad, modes.inference, modes.anomaly, modes.check_nan, modes.levels, modes.saved_hooks)


def _gradient():
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y.mul_(x)
    y.sum().backward()
    return x.grad.tolist()


@pytest.mark.filterwarnings("ignore:Anomaly|detect_anomaly")
@pytest.mark.parametrize(("outer", "inner"), list(itertools.permutations(MODES, 2)))
def test_left_as_entered(outer, inner):
    before = _state()
    with MODES[outer]():
        between = _state()
        with pytest.raises(KeyError), MODES[inner]():
            raise KeyError
        assert _state() == between
        with MODES[inner]():
            seen = []
            thread = threading.Thread(target=lambda: seen.append((_state(), _gradient())))
            thread.start()
            thread.join()
        assert seen == [(before, [2.0, 4.0])]  # a thread starts with the defaults
        assert _state() == between
        if current().grad:
            assert _gradient() == [2.0, 4.0]
    assert _state() == before
    assert _gradient() == [2.0, 4.0]


@pytest.mark.filterwarnings("ignore:Anomaly|detect_anomaly")
@pytest.mark.parametrize("name", MODES)
def test_transforms_and_checkpoints_inside_a_mode(name):
    x = tw.tensor([1.0, 2.0])

    def product(x):
        y = x * 1
        y.mul_(x)
        return y.sum()

    before = _state()
    with MODES[name]():
        inside = _state()
        assert func.vmap(lambda x: func.grad(product)(x.reshape(1)).reshape(()))(x).tolist() == [2.0, 4.0]
        assert func.jvp(func.grad(product), (x,), (tw.ones(2),))[1].tolist() == [2.0, 2.0]
        with pytest.raises(KeyError):
            func.grad(lambda x: {}[0])(x)
        with pytest.raises(KeyError):
            func.vmap(lambda x: {}[0])(x)
        assert _state() == inside
        if current().grad:
            w = tw.tensor([1.0, 2.0], requires_grad=True)
            tw.utils.checkpoint.checkpoint(product, w, use_reentrant=False).backward()
            assert w.grad.tolist() == [2.0, 4.0]
    assert _state() == before
