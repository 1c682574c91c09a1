"""State of modules: extra state, overrides, versions, hooks on both ways; hooks of all modules and all optimizers."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn.modules import module as modules
from thalweg.optim import optimizer as optimizers


class Counter(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.n = n

    def get_extra_state(self):
        return {"n": self.n}

    def set_extra_state(self, state):
        self.n = state["n"]


def test_extra_state_comes_back_also_from_inside_and_from_a_file(tmp_path):
    net, other = nn.Sequential(Counter(7), nn.Linear(1, 1)), nn.Sequential(Counter(), nn.Linear(1, 1))
    assert list(net.state_dict()) == ["0._extra_state", "1.weight", "1.bias"]
    tw.save(net.state_dict(), tmp_path / "net")
    other.load_state_dict(tw.load(tmp_path / "net"))
    assert other[0].n == 7
    missing = other.load_state_dict(nn.Sequential(nn.Identity(), nn.Linear(1, 1)).state_dict(), strict=False)
    assert missing.missing_keys == ["0._extra_state"]
    found = nn.Linear(1, 1).load_state_dict({"_extra_state": 1}, strict=False)
    assert found.unexpected_keys == ["_extra_state"]


def test_overridden_saving_and_loading_are_used():
    class Own(nn.Module):
        _version = 4

        def _save_to_state_dict(self, destination, prefix, keep_vars):
            destination[prefix + "mine"] = tw.ones(2)

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            self.got = state_dict[prefix + "mine"], local_metadata["version"]

    net = nn.Sequential(Own())
    state = net.state_dict()
    assert list(state) == ["0.mine"]
    assert state._metadata["0"] == {"version": 4}
    net.load_state_dict(state)
    assert net[0].got[1] == 4


def test_a_failed_loading_restores_what_it_wrote():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = copy.deepcopy(net.state_dict())
    state = {k: v + 1 for k, v in net.state_dict().items()}
    state["1.bias"] = tw.ones(5)
    for assign in (False, True):
        with pytest.raises(RuntimeError, match=r"size mismatch for 1\.bias"):
            net.load_state_dict(state, assign=assign)
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[key].numpy())


def test_arrays_are_refused_where_tensors_are_required():
    with pytest.raises(RuntimeError, match="from_numpy"):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": np.ones((1, 1))})


def _note(log, name, *given):
    log.append(name)


def test_order_of_the_hooks_of_state():
    log = []
    net = nn.Sequential(nn.Linear(1, 1))
    for name, module in (("net", net), ("layer", net[0])):
        for moment in ("state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post"):
            getattr(module, f"register_{moment}_hook")(partial(_note, log, f"{name} {moment}"))
    state = net.state_dict()
    assert log == ["net state_dict_pre", "layer state_dict_pre", "layer state_dict_post", "net state_dict_post"]
    log.clear()
    net.load_state_dict(state)
    assert log == [
        "net load_state_dict_pre", "layer load_state_dict_pre", "layer load_state_dict_post", "net load_state_dict_post",
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(net)).load_state_dict(state).missing_keys == []


def test_post_hooks_may_forgive_missing_names():
    layer = nn.Linear(1, 1)
    layer.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    layer.load_state_dict({"weight": tw.ones(1, 1)})
    layer.register_load_state_dict_post_hook(lambda module, keys: 5)
    with pytest.raises(ValueError, match="None is required"):
        layer.load_state_dict({"weight": tw.ones(1, 1)})


def test_hooks_of_all_modules_come_first_and_go():
    log = []
    layer = nn.Tanh()
    layer.register_forward_hook(partial(_note, log, "own"))
    layer.register_full_backward_hook(partial(_note, log, "own back"))
    handles = [
        modules.register_module_forward_pre_hook(partial(_note, log, "before")),
        modules.register_module_forward_hook(partial(_note, log, "after")),
        modules.register_module_full_backward_pre_hook(partial(_note, log, "back before")),
        modules.register_module_full_backward_hook(partial(_note, log, "back")),
    ]
    try:
        layer(tw.ones(1, requires_grad=True)).backward()
    finally:
        for handle in handles:
            handle.remove()
    assert log == ["before", "after", "own", "back before", "back", "own back"]
    log.clear()
    layer(tw.ones(1, requires_grad=True)).backward()
    assert log == ["own", "own back"]


def test_registration_hooks_may_replace_what_is_registered():
    def frozen(module, name, parameter):
        return nn.Parameter(parameter.detach(), requires_grad=False)

    with modules.register_module_parameter_registration_hook(frozen):
        layer = nn.Linear(1, 1)
    assert not any(p.requires_grad for p in layer.parameters())
    assert all(p.requires_grad for p in nn.Linear(1, 1).parameters())


def test_hooks_of_all_optimizers_surround_their_own():
    log = []
    p = tw.ones(1, requires_grad=True)
    optimizer = tw.optim.SGD([p], lr=0.1)
    optimizer.register_step_pre_hook(partial(_note, log, "own before"))
    optimizer.register_step_post_hook(partial(_note, log, "own after"))
    before = optimizers.register_optimizer_step_pre_hook(partial(_note, log, "before"))
    after = optimizers.register_optimizer_step_post_hook(partial(_note, log, "after"))
    with before, after:
        optimizer.step()
    assert log == ["before", "own before", "own after", "after"]
    log.clear()
    optimizer.step()
    assert log == ["own before", "own after"]


def test_backward_hooks_stay_out_of_a_double_backward():
    calls = []
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda *given: calls.append(1))
    x = tw.ones(2, requires_grad=True)
    (g,) = tw.autograd.grad(layer(x).sum(), x, create_graph=True)
    tw.autograd.grad(g.sum(), x)
    assert calls == [1]


def test_names_that_cannot_be_registered():
    module = nn.Module()
    module.attr = 3
    for register in (module.register_parameter, module.register_buffer, module.add_module):
        for name in ("attr", "a.b", ""):
            with pytest.raises(KeyError):
                register(name, None)
        with pytest.raises(TypeError):
            register(5, None)
    with pytest.raises(TypeError, match="takes no arguments"):
        nn.Module(3)
    with pytest.raises(RuntimeError, match="copy"):
        module.to("cpu", copy=True)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300])
def test_filling_keeps_the_digits_of_float64(value):
    x = tw.zeros(1, dtype=tw.float64)
    assert x.fill_(value).item() == value
    assert tw.full((1,), value, dtype=tw.float64).item() == value
    assert tw.full_like(x, value).item() == value
    assert x.copy_(value).item() == value


def test_long_samplers_draw_in_pieces_and_agree_with_short_ones():
    data = range(10)
    sampler = tw.utils.data.RandomSampler(data, replacement=True, num_samples=10**10)
    first = iter(sampler)
    assert all(0 <= next(first) < 10 for _ in range(5))
    batches = iter(tw.utils.data.BatchSampler(sampler, 7, drop_last=False))
    assert len(next(batches)) == 7
    weighted = tw.utils.data.WeightedRandomSampler([0.0, 1.0], 10**10)
    assert next(iter(weighted)) == 1
    found = tw.utils.data.RandomSampler(range(3), num_samples=8, generator=tw.Generator().manual_seed(0))
    assert sorted(list(found)[:6]) == [0, 0, 1, 1, 2, 2]


def test_small_things_of_networks_are_pytorchs():
    p = tw.ones(3, requires_grad=True)
    p.grad = tw.full((3,), 5.0)
    assert nn.utils.clip_grad_norm_([p], 1.0, norm_type="inf").item() == 5
    with pytest.raises(ValueError, match="same batch size"):
        nn.RNNCell(2, 3)(tw.ones(3, 2), tw.ones(1, 3))
    with pytest.raises(ValueError, match="more than one value"):
        nn.functional.group_norm(tw.ones(1, 3), 3)
    assert nn.functional.pad(tw.ones(1, 1, 5, 5), (0, 0, 0, -5), mode="reflect").shape == (1, 1, 0, 5)
    average = pickle.loads(pickle.dumps(tw.optim.swa_utils.AveragedModel(nn.Linear(1, 1))))
    average.update_parameters(nn.Linear(1, 1))
    q = nn.Parameter(tw.zeros(2))
    optimizer = tw.optim.LBFGS([q], tolerance_grad=-float("inf"))

    def closure():
        optimizer.zero_grad()
        loss = (q * 0).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 0
    with pytest.warns(UserWarning, match="2 dims"):
        assert nn.functional.dropout2d(tw.ones(4, 4)).shape == (4, 4)


@pytest.mark.conformance
def test_bytes_are_interpolated_as_pytorch_does():
    torch = pytest.importorskip("torch")
    rng = np.random.RandomState(0)
    for k in range(200):
        h, w = rng.randint(1, 9, 2)
        out = tuple(int(n) for n in rng.randint(2, 13, 2))
        pixels = rng.randint(0, 256, (2, rng.randint(1, 5), h, w)).astype(np.uint8)
        settings = {"mode": ("bilinear", "bicubic")[k % 2], "align_corners": bool(k % 3), "antialias": k % 5 == 0}
        found = [lib.nn.functional.interpolate(lib.tensor(pixels), size=out, **settings).numpy() for lib in (tw, torch)]
        np.testing.assert_array_equal(*found)
