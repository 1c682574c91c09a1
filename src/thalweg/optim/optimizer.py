"""What every optimizer shares: groups, state, checkpoints, hooks, and the three ways to run one update rule.

A method is three things: `Settings`, a named tuple; ``init(param, settings)``, the state of one parameter, a
dict with PyTorch's keys; and ``update(x, g, state, settings, t)``, pure, which returns the new parameter and the
new state. The update is written in the symbols of its paper with operators and the functions of ``_scalars``, so
the same lines run

- on arrays: the eager step, without a tensor object; results are copied into the parameters' memory;
- on tensors with a graph: ``differentiable=True``, which unrolls the descent so that the final loss can be
  differentiated with respect to the start, lr, momentum, …; a parameter then takes over its new value's memory and
  graph instead of being written, since the graph of the steps before still needs the old elements;
- on recorded tensors: while ``core.modes.current().recorder`` is set, the state is made where it is missing, the
  recorder is told of the optimizer, each number of `Settings` enters through ``recorder.setting``, and parameters,
  state and step counters are written in place. State that starts empty (None), since the first step has a rule of
  its own, is made of zeros, with a truth value beside it that says whether it has begun and chooses between the rules.

What the program of a step depends on (its structure, which a compiler guards) is: truth values, strings, None
and the integers named in `static`; whether a number named in `switches` is exactly 0, in which case the part it
scales is left out (``momentum=0``); which keys the state has; and which parameters have a gradient. Everything
else, the learning rate and t above all, is a value.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np

from ..autograd.modes import enable_grad
from ..core import dtype as _dtype
from ..core.inplace import bump, check_write, write
from ..core.modes import current, enter, restore, silence
from ..core.node import Handle
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, GraphError
from ..ops.reduce import converted
from . import _large
from ._cases import put
from ._large import Large
from ._scalars import as_number, where
from .space import Log, Space

__all__ = ["Optimizer", "Params", "State"]

State = dict[str, Any]
Params = Iterable[TensorBase] | Iterable[dict[str, Any]] | Iterable[tuple[str, TensorBase]]


class Optimizer:
    """The shared part of all optimizers, with the interface of ``torch.optim.Optimizer``.

    A subclass for a method defines `Settings`, :meth:`init` and :meth:`update`. A subclass that is no update
    rule (a wrapper, a method that calls its closure again) overrides :meth:`_run` instead.
    """

    Settings: ClassVar[Any] = None
    #: state kept as one number per parameter, in the default floating type
    scalars: ClassVar[tuple[str, ...]] = ("step",)
    #: state that starts as a copy of the parameter
    copies: ClassVar[tuple[str, ...]] = ()
    #: settings that leave out a part of the rule when they are exactly 0
    switches: ClassVar[tuple[str, ...]] = ("weight_decay", "momentum", "dampening")
    #: integers that decide the structure of the rule
    static: ClassVar[tuple[str, ...]] = ()
    #: settings that state which is made before the first step starts from: another value needs another start
    starts_from: ClassVar[tuple[str, ...]] = ()
    #: whether the rule takes random numbers, which :meth:`_extra` draws into its state
    draws: ClassVar[bool] = False
    #: whether the rule treats all elements alike, whatever the shape: then one loop serves every large parameter
    elementwise: ClassVar[bool] = False
    #: the settings worth tuning and their ranges; a race maps the same points of [0, 1] through them for every method
    space: ClassVar[Space] = {"lr": Log(1e-5, 10.0)}
    _stepped = False

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, TensorBase):
            raise DTypeError(f"{self._name()}: params must be an iterable of tensors or of groups, got a tensor.")
        self.defaults = defaults
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._begun: dict[Any, TensorBase] = {}
        self._make_hooks()
        groups: list[Any] = list(params)
        if not groups:
            raise ArgumentError(f"{self._name()}: at least one parameter is required, got an empty list.")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self) -> None:
        self._before_step: OrderedDict[int, Any] = OrderedDict()
        self._after_step: OrderedDict[int, Any] = OrderedDict()
        self._before_save: OrderedDict[int, Any] = OrderedDict()
        self._after_save: OrderedDict[int, Any] = OrderedDict()
        self._before_load: OrderedDict[int, Any] = OrderedDict()
        self._after_load: OrderedDict[int, Any] = OrderedDict()

    @classmethod
    def _name(cls) -> str:
        return cls.__name__

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update" in cls.__dict__ and "elementwise" not in cls.__dict__:
            cls.elementwise = False  # what holds for a rule need not hold for another that replaces it

    # The rule

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Return the state of one parameter (an array) before its first step."""
        return {}

    @staticmethod
    def update(x: Any, g: Any, state: State, settings: Any, t: Any) -> tuple[Any, State]:
        """Return the parameter and its state after step `t`, counted from 1. Pure."""
        raise NotImplementedError

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return the diagonal P that divides the gradient in step `t`, and the largest stable eigenvalue of P⁻¹H.

        On a quadratic with the Hessian H, steps with P held fixed shrink the distance to the minimum along every
        eigenvector below that value and grow it beyond. None where no such limit is known.
        """
        return None

    def _extra(self, param: Any, on_tensors: bool) -> State:
        """Return what an update finds in its state without its being kept there."""
        return {}

    # The step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure`, called first, returns."""
        self._stepped = True
        if not (self._before_step or self._after_step or _before_any_step or _after_any_step):
            return self._run(closure)
        args: tuple[Any, ...] = () if closure is None else (closure,)
        kwargs: dict[str, Any] = {}
        for hook in (*_before_any_step.values(), *self._before_step.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise GraphError(
                        f"{self._name()}: a hook before the step must return None or (args, kwargs), got {changed!r}."
                    )
                args, kwargs = changed
        result = self._run(*args, **kwargs)
        for hook in (*self._after_step.values(), *_after_any_step.values()):
            hook(self, args, kwargs)
        return result

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        modes = current()
        if modes.recorder is not None:
            modes.recorder.optimizer(self)
        elif self._begun:
            self._settle()
        for group in self.param_groups:
            if group.get("differentiable"):
                self._step_tensors(group, modes.recorder)
            elif modes.recorder is not None:
                enter(modes.with_grad(False))
                try:
                    self._step_tensors(group, modes.recorder)
                finally:
                    enter(modes)
            else:
                self._step_arrays(group)
        return loss

    def _settings(self, group: dict[str, Any], number: Callable[..., Any] = as_number) -> Any:
        """Return the settings of a group; `number` turns a tensor into what the rule is to see."""
        values = []
        for key in self.Settings._fields:
            value = group[key]
            if isinstance(value, TensorBase):
                value = number(value)
            elif type(value) in (tuple, list):
                value = tuple(number(v) if isinstance(v, TensorBase) else v for v in value)
            values.append(value)
        return self.Settings._make(values)

    def _recorded_settings(self, group: dict[str, Any], recorder: Any) -> Any:
        """Return the settings of a group with every number that is no matter of structure as an input."""

        def enters(key: str, value: Any, at: int | None) -> Any:
            fixed = isinstance(value, (bool, str)) or value is None or key in self.static
            if fixed or (key in self.switches and as_number(value) == 0):
                return value
            return recorder.setting(group, key, at, type(as_number(value)))

        values = []
        for key in self.Settings._fields:
            value = group[key]
            if type(value) in (tuple, list):
                values.append(tuple(enters(key, v, k) for k, v in enumerate(value)))
            else:
                values.append(enters(key, value, None))
        return self.Settings._make(values)

    def _state_of(self, param: Any, settings: Any) -> State:
        state = self.state.get(param)
        if not state:
            state = {"step": _scalar(0.0)} if "step" in self.scalars else {}
            for key, value in self.init(param._data, settings).items():
                kept = value is None or isinstance(value, TensorBase)
                state[key] = value if kept else self._as_state(key, value)
            if state:
                self.state[param] = state
        return state

    def _as_state(self, key: str, value: Any) -> TensorBase:
        return _scalar(value) if key in self.scalars else TensorBase._wrap(np.array(value))

    def _step_arrays(self, group: dict[str, Any]) -> None:
        settings = self._settings(group)
        update, scalars, inits, draws = self.update, self.scalars, self._state_of, self.draws
        states, copy = self.state, np.copyto
        large = Large(self, group) if self.elementwise and _size(group) >= _large.LARGE else None
        token = silence()
        try:
            for param in group["params"]:
                grad = param._grad
                if grad is None:
                    continue
                state = states.get(param) or inits(param, settings)
                data, t = param._data, 0.0
                arrays: State = {}
                for key, kept in state.items():
                    if key == "step":
                        t = kept._data.item() + 1.0
                        kept._data.fill(t)
                    elif kept is None:
                        arrays[key] = None
                    else:
                        arrays[key] = kept._data.item() if key in scalars else kept._data
                if draws:
                    arrays.update(self._extra(param, False))
                if large is not None:
                    numbers = large.update(data, grad._data, arrays, t)
                    if numbers is not None:
                        for key, value in numbers.items():
                            copy(state[key]._data, value)
                        bump(param)
                        continue
                x, arrays = update(data, grad._data, arrays, settings, t)
                copy(data, x)
                bump(param)
                for key, value in arrays.items():
                    kept = state.get(key)
                    if kept is None:
                        if value is not None:
                            states[param][key] = self._as_state(key, value)
                    elif value is not kept._data:
                        if type(value) is np.ndarray and value.dtype is kept._data.dtype and value is not grad._data:
                            kept._data = value  # a rule makes new arrays, so the tensor can have this one
                        else:
                            copy(kept._data, value)
        finally:
            if large is not None:
                large.run()
            restore(token)

    def _filled(self, param: Any, state: State, seen: State, recorder: Any) -> State:
        """Give state that starts empty memory for a captured step; return, if there is such, what the first step sees."""
        if not self._made_room(param, state):
            return {}
        seen.update({key: state[key] for key, kept in seen.items() if kept is None})
        starts = {key: None for key, value in self._initial(param).items() if value is None}
        what = f"the state of {self._name()} was made anew"
        recorder.depends(self._begun[param], what, lambda: [id(self.state[param].get(key)) for key in starts])
        return starts

    def _made_room(self, param: Any, state: State) -> list[TensorBase]:
        """Fill state that starts empty with zeros; return the truth value that says whether it has begun, if there is one."""
        empty = [key for key, kept in state.items() if kept is None]
        state.update({key: TensorBase._wrap(np.zeros_like(param._data)) for key in empty})
        if empty:
            self._begun[param] = TensorBase._wrap(np.array(False))
        return [self._begun[param]] if param in self._begun else []

    def _initial(self, param: Any) -> State:
        group = next(g for g in self.param_groups if any(p is param for p in g["params"]))
        return self.init(param._data, self._settings(group))

    def _settle(self) -> None:
        """Let state be empty again that captured steps were to fill and have not."""
        for param, begun in self._begun.items():
            if not begun._data:
                self.state[param].update({key: v for key, v in self._initial(param).items() if v is None})
        self._begun = {}

    def _step_tensors(self, group: dict[str, Any], recorder: Any) -> None:
        if recorder is not None:
            settings = self._recorded_settings(group, recorder)
        else:
            settings = self._settings(group, lambda value: value)
        for param in group["params"]:
            grad = param._grad
            if grad is None:
                continue
            fresh = not self.state.get(param)
            state = self._state_of(param, settings if recorder is None else self._settings(group))
            if fresh and recorder is None:  # copies of a parameter with a graph stay in it
                state.update({key: param * 1 for key in self.copies})
            seen = {key: kept for key, kept in state.items() if key != "step"}
            t: Any = 0.0
            for key in self.scalars:
                if key in seen:
                    seen[key] = converted(seen[key], _dtype.float64)
            empty = {} if recorder is None else self._filled(param, state, seen, recorder)
            if recorder is not None:
                if "step" in state:
                    t = converted(state["step"], _dtype.float64)
                    t = t + 1
                    write(state["step"], t, "step")
            elif "step" in state:
                t = state["step"]._data.item() + 1.0
                state["step"]._data.fill(t)
            if self.draws:
                seen.update(self._extra(param, True))
            check_write(param, (grad,))
            x, changed = self.update(param, grad, seen, settings, t)
            if empty:
                flag = self._begun[param]
                first, made = self.update(param, grad, {**seen, **empty}, settings, t)
                x, changed = where(flag, x, first), {key: where(flag, changed[key], made[key]) for key in changed}
                put([flag], True)
            for key, value in changed.items():
                if recorder is not None:
                    if value is not seen.get(key):
                        write(state[key], value, key)
                elif value is None or isinstance(value, TensorBase):
                    self.state[param][key] = value
                else:
                    self.state[param][key] = self._as_state(key, value)
            if recorder is not None:
                write(param, x, "step")
            else:
                _take_over(param, x)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or (``set_to_none=False``) fill them with 0."""
        recorder = current().recorder
        for group in self.param_groups:
            for param in group["params"]:
                if recorder is not None and set_to_none:
                    recorder.cleared(param)
                grad = param._grad
                if grad is None:
                    continue
                if set_to_none:
                    if recorder is not None:
                        recorder.cleared(param)
                    param._grad = None
                else:
                    grad._node = None
                    grad.zero_()

    # Groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with settings of its own where they are given and the defaults elsewhere."""
        who = self._name()
        if not isinstance(param_group, dict):
            raise DTypeError(f"{who}: a parameter group must be a dict, got {type(param_group).__name__}.")
        params = param_group["params"]
        if isinstance(params, TensorBase):
            params = [params]
        elif isinstance(params, set):
            raise DTypeError(f"{who}: params must be an ordered collection, got a set; use a list.")
        params = list(params)
        names = None
        named = [isinstance(p, tuple) for p in params]
        if any(named) and not all(named):
            raise ArgumentError(f"{who}: either all parameters or none must have names.")
        if any(named):
            names = [p[0] for p in params]
            params = [p[1] for p in params]
        for param in params:
            if not isinstance(param, TensorBase):
                raise DTypeError(f"{who}: parameters must be tensors, got {type(param).__name__}.")
            if not (self.defaults.get("differentiable") or param.is_leaf or param.retains_grad):
                raise ArgumentError(f"{who}: parameters must be leaves, got a result ({param.grad_fn!r}).")
        if len({id(p) for p in params}) != len(params):
            warnings.warn(f"{who}: a parameter is in its group twice, so it is updated twice.", stacklevel=3)
        present = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in present for p in params):
            raise ArgumentError(f"{who}: each parameter may be in one group only.")
        if self.param_groups and ("param_names" in self.param_groups[0]) != (names is not None):
            raise ArgumentError(f"{who}: either all groups or none must name their parameters.")
        group = {**param_group, "params": params}
        for key, value in self.defaults.items():
            group.setdefault(key, value)
        if names is not None:
            group["param_names"] = names
        self.param_groups.append(group)
        self._group_added(group)

    def _group_added(self, group: dict[str, Any]) -> None:
        """Check a new group, or make its state, where a method needs it at once."""

    # Checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return state and groups with parameters replaced by their numbers, in PyTorch's layout.

        The tensors in it are the optimizer's own; :meth:`load_state_dict` copies.
        """
        for before in tuple(self._before_save.values()):
            before(self)
        self._settle()
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                number.setdefault(id(param), len(number))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [number[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {number.get(id(key), key) if isinstance(key, TensorBase) else key: v for key, v in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for after in tuple(self._after_save.values()):
            changed = after(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`; everything is copied, and cast to the parameters' types."""
        state_dict = dict(state_dict)
        for before in tuple(self._before_load.values()):
            changed = before(self, state_dict)
            if changed is not None:
                state_dict = changed
        who = self._name()
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ArgumentError(
                f"{who}: a state with {len(self.param_groups)} parameter groups is required, got {len(saved)}."
            )
        params: dict[Any, Any] = {}
        for group, kept in zip(self.param_groups, saved, strict=True):
            if len(group["params"]) != len(kept["params"]):
                raise ArgumentError(
                    f"{who}: a state whose group has {len(group['params'])} parameters is required, "
                    f"got {len(kept['params'])}."
                )
            params.update(zip(kept["params"], group["params"], strict=True))
        state: defaultdict[Any, State] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            param = params.get(key)
            state[key if param is None else param] = _copied(value, param, None, self.scalars)
        for group, kept in zip(self.param_groups, saved, strict=True):
            kept["params"] = group["params"]
            if "param_names" in group:
                kept.setdefault("param_names", group["param_names"])
            for key, value in self.defaults.items():
                kept.setdefault(key, value)
        self.state, self.param_groups, self._begun = state, saved, {}
        self._loaded()
        for after in tuple(self._after_load.values()):
            after(self)

    def _loaded(self) -> None:
        """Adapt what was loaded, where a method needs it."""

    def __getstate__(self) -> dict[str, Any]:
        hooks = ("_before_step", "_after_step", "_before_save", "_after_save", "_before_load", "_after_load")
        return {key: value for key, value in self.__dict__.items() if key not in hooks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_begun": {}, **state})
        if "_before_step" not in self.__dict__:
            self._make_hooks()

    # Hooks

    def register_step_pre_hook(self, hook: Callable[[Any, Any, Any], Any]) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new (args, kwargs)."""
        return Handle(self._before_step, hook)

    def register_step_post_hook(self, hook: Callable[[Any, Any, Any], None]) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return Handle(self._after_step, hook)

    def register_state_dict_pre_hook(self, hook: Callable[[Any], None], prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` before :meth:`state_dict`."""
        return _registered(self._before_save, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[[Any, Any], Any], prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` after :meth:`state_dict`; it may return another."""
        return _registered(self._after_save, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[[Any, Any], Any], prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may return another."""
        return _registered(self._before_load, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[[Any], None], prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` after loading."""
        return _registered(self._after_load, hook, prepend)

    def __repr__(self) -> str:
        lines = [f"{self._name()} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _take_over(param: Any, value: TensorBase) -> None:
    """Let a parameter become `value`, graph and memory: what earlier steps saved must not be overwritten."""
    retained = param.retains_grad
    param._data, param._node, param._version_list = value._data, value._node, value._version_list
    param._view = None
    if retained and value._node is not None:
        param.retain_grad()


def _size(group: dict[str, Any]) -> int:
    return sum([param._data.size for param in group["params"] if param._grad is not None])


def _scalar(value: Any) -> TensorBase:
    return TensorBase._wrap(np.array(as_number(value), _dtype.default_float().np))


def _copied(value: Any, param: Any, key: str | None, scalars: tuple[str, ...]) -> Any:
    """Return a copy of loaded state that shares nothing with it, cast to the type of its parameter."""
    if isinstance(value, TensorBase):
        data = value._data.copy()
        if param is not None and key not in scalars and param._data.dtype.kind == "f" and data.dtype.kind == "f":
            data = data.astype(param._data.dtype, copy=False)
        return TensorBase._wrap(data)
    if isinstance(value, np.ndarray):
        return _copied(TensorBase._wrap(_dtype.accepted(value)), param, key, scalars)
    if isinstance(value, dict):
        return {k: _copied(v, param, k, scalars) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(v, param, None, scalars) for v in value)
    return deepcopy(value)


_before_any_step: OrderedDict[int, Any] = OrderedDict()
_after_any_step: OrderedDict[int, Any] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[[Any, Any, Any], Any]) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of any optimizer; it may return new (args, kwargs)."""
    return Handle(_before_any_step, hook)


def register_optimizer_step_post_hook(hook: Callable[[Any, Any, Any], None]) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of any optimizer."""
    return Handle(_after_any_step, hook)


def _registered(table: OrderedDict[int, Any], hook: Any, prepend: bool) -> Handle:
    handle = Handle(table, hook)
    if prepend:
        table.move_to_end(handle._key, last=False)
    return handle
