"""The language in which functions are typed: ``0.1*x1**2 + 2*x2**2``. It is parsed, never run as Python.

    expression = value (operator value)*         operators  + - * / **  with the usual precedence
    value      = number | name | name(expression, …) | (expression) | - value | + value
    name       = x (one variable) | x1, x2, … | pi | e | a function

The parser is Pratt's: each operator has a binding power to its left and to its right, and ``parse(power)`` reads
as far as the operators bind more tightly. It writes instructions for a stack, so evaluating recurses over nothing.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ..ops import arithmetic
from ..ops._coerce import as_tensor

__all__ = ["CONSTANTS", "FUNCTIONS", "Expression", "ExpressionError", "parse"]

MAX_LENGTH = 10_000
MAX_DEPTH = 100


class ExpressionError(ArgumentError):
    """An expression cannot be read; the message shows where."""

    def __init__(self, reason: str, text: str, at: int) -> None:
        start = max(0, at - 60)
        shown = text[start : start + 76].replace("\t", " ").replace("\n", " ")
        super().__init__(f"expression: {reason}, at column {at + 1}.\n  {shown}\n  {' ' * (at - start)}^")


class Function(NamedTuple):
    """A function of the language: on tensors, on numbers, and how many arguments it takes."""

    tensor: Callable[..., Any]
    number: Callable[..., Any]
    arity: int = 1


_method = operator.methodcaller  # a method of a tensor is the operation of that name

FUNCTIONS: dict[str, Function] = {
    "abs": Function(_method("abs"), np.abs),
    "acos": Function(_method("acos"), np.arccos),
    "asin": Function(_method("asin"), np.arcsin),
    "atan": Function(_method("atan"), np.arctan),
    "cos": Function(_method("cos"), np.cos),
    "cosh": Function(_method("cosh"), np.cosh),
    "exp": Function(_method("exp"), np.exp),
    "log": Function(_method("log"), np.log),
    "log10": Function(lambda x: x.log() * (1 / math.log(10)), np.log10),
    "log2": Function(lambda x: x.log() * (1 / math.log(2)), np.log2),
    "max": Function(lambda x, y: arithmetic.maximum(as_tensor(x), as_tensor(y)), np.maximum, 2),
    "min": Function(lambda x, y: arithmetic.minimum(as_tensor(x), as_tensor(y)), np.minimum, 2),
    "relu": Function(_method("relu"), lambda x: np.maximum(x, 0)),
    "sigmoid": Function(_method("sigmoid"), lambda x: 1 / (1 + np.exp(-x))),
    "sign": Function(_method("sign"), np.sign),
    "sin": Function(_method("sin"), np.sin),
    "sinh": Function(_method("sinh"), np.sinh),
    "sqrt": Function(_method("sqrt"), np.sqrt),
    "tan": Function(_method("tan"), np.tan),
    "tanh": Function(_method("tanh"), np.tanh),
}
CONSTANTS = {"pi": math.pi, "e": math.e}

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>\*\*|[-+*/(),]))", re.ASCII
)
_VARIABLE = re.compile(r"x([1-9]\d*)?\Z", re.ASCII)
_BINARY = {
    "+": (10, 11, operator.add),
    "-": (10, 11, operator.sub),
    "*": (20, 21, operator.mul),
    "/": (20, 21, operator.truediv),
    "**": (41, 40, operator.pow),  # to the right: 2**3**2 is 2**9
}
_SIGN_POWER = 30  # below **, so that -x**2 is -(x**2)
MAX_VARIABLES = 1000


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Expression:
    """A function f: R^d → R that was typed. Call it with x of shape [d], or [d, m] for m points at once.

    >>> f = parse("x1**2 + 2*x2**2")
    >>> f.variables, float(f(np.array([3.0, 1.0])))
    (('x1', 'x2'), 11.0)
    """

    text: str
    variables: tuple[str, ...]
    program: tuple[tuple[str, Any, int], ...]

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return len(self.variables)

    def __call__(self, x: Any) -> Any:
        """Evaluate on a tensor (giving a tensor) or an array (giving an array)."""
        on_tensors = isinstance(x, TensorBase)
        stack: list[Any] = []
        for kind, what, arity in self.program:
            if kind == "number":
                stack.append(what)
            elif kind == "variable":
                stack.append(x[what])
            else:
                arguments = stack[-arity:]
                del stack[-arity:]
                stack.append(_applied(kind, what, arguments, on_tensors))
        return stack[0]


def _applied(kind: str, what: Any, arguments: list[Any], on_tensors: bool) -> Any:
    if kind == "operator":
        if what is operator.pow and not any(isinstance(a, TensorBase) for a in arguments):
            return np.power(*arguments)
        return what(*arguments)
    tensors = on_tensors and any(isinstance(a, TensorBase) for a in arguments)
    return (what.tensor if tensors else what.number)(*arguments)


def parse(text: str) -> Expression:
    """Read an expression in x, or in x1, x2, …; mistakes are pointed at.

    >>> parse("x1 + * 2")
    Traceback (most recent call last):
    ...
    thalweg.problems.expression.ExpressionError: expression: a value is required after '+', got '*', at column 6.
      x1 + * 2
           ^
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"at most {MAX_LENGTH} characters are allowed, got {len(text)}", text, 0)
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens(text)
        self.k = 0
        self.depth = 0
        self.program: list[tuple[str, Any, int]] = []
        self.seen: dict[str, int] = {}  # variables and where they first stand

    def _tokens(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                hint = "; a power is written **" if text[at] == "^" else ""
                raise ExpressionError(f"{text[at]!r} has no meaning here{hint}", text, at)
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            at = match.end()
        tokens.append(_Token("end", "", len(text.rstrip())))
        return tokens

    def fail(self, reason: str, token: _Token) -> ExpressionError:
        return ExpressionError(reason, self.text, token.at)

    def whole(self) -> Expression:
        if self.tokens[0].kind == "end":
            raise self.fail("a function of x, or of x1, x2, … is required, got nothing", self.tokens[0])
        self.expression(0)
        token = self.tokens[self.k]
        if token.kind != "end":
            if token.text == ")":
                raise self.fail("this ) closes nothing", token)
            if token.text == ",":
                raise self.fail("a comma may stand only between the arguments of a function", token)
            raise self.fail(f"an operator is required before {token.text!r}; a product is written with *", token)
        return Expression(self.text.strip(), self.variables(), self.folded())

    def variables(self) -> tuple[str, ...]:
        if not self.seen:
            raise ExpressionError("a variable is required, x or x1, x2, …; this is a constant", self.text, 0)
        if "x" in self.seen:
            if len(self.seen) > 1:
                other = next(name for name in self.seen if name != "x")
                raise ExpressionError(
                    f"either x or x1, x2, … is allowed, got x and {other}", self.text, max(self.seen.values())
                )
            return ("x",)
        return tuple(f"x{k + 1}" for k in range(max(int(name[1:]) for name in self.seen)))

    def folded(self) -> tuple[tuple[str, Any, int], ...]:
        """Compute what is constant now, once."""
        out: list[tuple[str, Any, int]] = []
        for kind, what, arity in self.program:
            operands = out[-arity:] if arity else []
            if arity and all(k == "number" for k, _, _ in operands):
                values = [np.float64(value) for _, value, _ in operands]
                with np.errstate(all="ignore"):
                    result = float((what if kind == "operator" else what.number)(*values))
                if not math.isfinite(result):
                    raise ExpressionError("a part of it that is constant has no finite value", self.text, 0)
                out[-arity:] = [("number", result, 0)]
            else:
                out.append((kind, what, arity))
        return tuple(out)

    def expression(self, power: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"more than {MAX_DEPTH} levels of nesting", self.tokens[self.k])
        self.value()
        while True:
            token = self.tokens[self.k]
            found = _BINARY.get(token.text) if token.kind == "mark" else None
            if found is None or found[0] < power:
                break
            self.k += 1
            self.expression(found[1])
            self.program.append(("operator", found[2], 2))
        self.depth -= 1

    def value(self) -> None:
        token = self.tokens[self.k]
        self.k += 1
        if token.kind == "number":
            if not math.isfinite(float(token.text)):
                raise self.fail("this number is too large", token)
            self.program.append(("number", float(token.text), 0))
        elif token.kind == "name":
            self.name(token)
        elif token.text == "(":
            self.expression(0)
            self.close(token)
        elif token.text in ("-", "+"):
            self.expression(_SIGN_POWER)
            if token.text == "-":
                self.program.append(("operator", operator.neg, 1))
        else:
            before = self.tokens[self.k - 2].text if self.k > 1 else ""
            where = f" after {before!r}" if before else ""
            got = repr(token.text) if token.text else "nothing"
            raise self.fail(f"a value is required{where}, got {got}", token)

    def close(self, opened: _Token) -> None:
        token = self.tokens[self.k]
        if token.text != ")":
            if token.kind == "end":
                raise self.fail("this ( is never closed", opened)
            raise self.fail(f"an operator or ) is required before {token.text!r}", token)
        self.k += 1

    def name(self, token: _Token) -> None:
        called = self.tokens[self.k].text == "("
        if token.text in FUNCTIONS:
            if not called:
                raise self.fail(f"{token.text} is a function: write {token.text}(…)", token)
            self.call(token, FUNCTIONS[token.text])
        elif called and (token.text in CONSTANTS or _VARIABLE.match(token.text)):
            raise self.fail(f"{token.text} is no function; a product is written with *", token)
        elif token.text in CONSTANTS:
            self.program.append(("number", CONSTANTS[token.text], 0))
        elif _VARIABLE.match(token.text):
            index = int(token.text[1:]) - 1 if token.text != "x" else 0
            if index >= MAX_VARIABLES:
                raise self.fail(f"at most {MAX_VARIABLES} variables are allowed", token)
            self.seen.setdefault(token.text, token.at)
            self.program.append(("variable", index, 0))
        else:
            near = difflib.get_close_matches(token.text, [*FUNCTIONS, *CONSTANTS], 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else "variables are x, or x1, x2, …"
            raise self.fail(f"the name {token.text!r} is not known ({hint})", token)

    def call(self, token: _Token, function: Function) -> None:
        opened = self.tokens[self.k]
        self.k += 1
        count = 0
        while True:
            self.expression(0)
            count += 1
            if self.tokens[self.k].text != ",":
                break
            self.k += 1
        self.close(opened)
        if count != function.arity:
            plural = "argument" if function.arity == 1 else "arguments"
            raise self.fail(f"{token.text} takes {function.arity} {plural}, got {count}", token)
        self.program.append(("call", function, count))
