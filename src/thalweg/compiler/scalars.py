"""From the kernel of an elementwise operation to a typed scalar expression.

A kernel is written once for all types (``"1 / (1 + math.exp(-{0}))"``). Machine code needs its numbers typed,
since in Numba ``2 * x`` is double precision even where x is single, its choices as selections, which vectorise,
and its functions named by type.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

import numpy as np

from ..ops._elementwise import Elementwise
from .program import Operation, Value

__all__ = ["NoKernel", "element_type", "expression", "literal", "suffix"]


class NoKernel(Exception):
    """An operation that cannot be written as a kernel of the wanted kind."""


_SUFFIX = {"float32": "f4", "float64": "f8", "int64": "i8", "int32": "i4", "uint8": "u1", "bool": "b1"}


def suffix(dtype: np.dtype[Any]) -> str:
    """Return the short name of a type, as in ``exp_f4``."""
    return _SUFFIX[dtype.name]


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """Return a number of a type as source text."""
    kind = dtype.kind
    if kind == "b":
        if value not in (0, 1):
            raise NoKernel(f"the number {value} beside truth values")
        return "True" if value else "False"
    if kind in "iu":
        ends = np.iinfo(dtype)
        if not (ends.min <= value <= ends.max and value == int(value)):
            raise NoKernel(f"the number {value} beside {dtype}")
        return f"{suffix(dtype)}({int(value)})"
    try:
        with np.errstate(over="ignore"):
            number = dtype.type(value).item()
    except OverflowError:
        raise NoKernel(f"an integer beyond the range of {dtype}") from None
    text = repr(number)
    if text in ("inf", "-inf", "nan"):
        text = {"inf": "INF", "-inf": "-INF", "nan": "NAN"}[text]
    return f"{suffix(dtype)}({text})" if dtype != np.float64 else f"({text})" if number < 0 else text


_FUNCTIONS = {
    "exp", "log", "tanh", "sin", "cos", "tan", "log1p", "expm1", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh",
    "erf", "erfc", "lgamma", "floor", "ceil", "trunc", "atan2", "pow", "fmod", "hypot", "log2", "log10", "round", "sign", "sqrt",
    "maximum", "minimum", "abs", "fabs", "isnan", "isinf", "isfinite", "copysign",
}  # fmt: skip


#: the functions that exist for integers; a kernel with another one runs in NumPy
_OF_INTEGERS = {
    "int64": {"abs", "sign", "maximum", "minimum"},
    "int32": {"maximum", "minimum"},
    "uint8": {"maximum", "minimum"},
}  # fmt: skip


class _Typing(ast.NodeTransformer):
    """Types the numbers of a kernel and names its functions."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, (bool, int, float)):
            return node
        return ast.parse(literal(node.value, self.dtype), mode="eval").body

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        number = {"inf": np.inf, "nan": np.nan, "pi": np.pi, "e": np.e}.get(node.attr)
        if number is None:
            raise NoKernel(node.attr)
        return ast.parse(literal(number, self.dtype), mode="eval").body

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        parts = [self.visit(x) for x in (node.test, node.body, node.orelse)]
        return ast.Call(ast.Name("select", ast.Load()), parts, [])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        sign: ast.operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        done = self.visit(node.values[0])
        for value in node.values[1:]:
            done = ast.BinOp(done, sign, self.visit(value))
        return done

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Not):
            if isinstance(node.operand, ast.Name) and self.dtype.kind != "b":
                return ast.Compare(node.operand, [ast.Eq()], [self.visit(ast.Constant(0))])
            return ast.BinOp(self.visit(node.operand), ast.BitXor(), ast.Constant(True))
        if isinstance(node.op, ast.Invert) and self.dtype.kind == "b":
            return ast.BinOp(self.visit(node.operand), ast.BitXor(), ast.Constant(True))
        return self.wrapped(ast.UnaryOp(node.op, self.visit(node.operand)))

    def wrapped(self, node: Any) -> Any:
        """Return integer arithmetic in its own type: in Numba the sum of two uint8 is an int64."""
        if self.dtype.kind not in "iub":
            return node
        return ast.Call(ast.Name(suffix(self.dtype), ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow):
            exponent = node.right.value if isinstance(node.right, ast.Constant) else None
            base = self.visit(node.left)
            if isinstance(exponent, (int, float)) and _is_simple(base):
                return _power(base, exponent, self)
            return _call("pow", self.dtype, [base, self.visit(node.right)])
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            raise NoKernel("floor division and remainder")
        if self.dtype.kind != "f" and isinstance(node.op, (ast.Div, ast.LShift, ast.RShift)):
            raise NoKernel(f"division and shifts of {self.dtype}")
        return self.wrapped(ast.BinOp(self.visit(node.left), node.op, self.visit(node.right)))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "float" or name == "int" or name not in _FUNCTIONS:
            raise NoKernel(f"the function {name}")
        return _call(name, self.dtype, [self.visit(a) for a in node.args])


def _call(name: str, dtype: np.dtype[Any], args: list[Any]) -> ast.expr:
    name = "abs" if name == "fabs" else name
    if dtype.kind == "b" and name in ("maximum", "minimum"):
        return ast.BinOp(args[0], ast.BitOr() if name == "maximum" else ast.BitAnd(), args[1])
    if dtype.kind != "f" and name not in _OF_INTEGERS.get(dtype.name, ()):
        raise NoKernel(f"{name} of {dtype}")
    return ast.Call(ast.Name(f"{name}_{suffix(dtype)}", ast.Load()), args, [])


def _is_simple(node: Any) -> bool:
    return isinstance(node, ast.Name)


def _power(base: Any, exponent: float, typing: _Typing) -> Any:
    """Return a power with a known exponent as multiplications where it is a small integer or a half."""
    whole = int(exponent) if abs(exponent) < 100 and exponent == int(exponent) else None
    if typing.dtype.kind != "f" and (whole is None or whole < 0):
        raise NoKernel("a negative power of integers")
    if whole is not None and 1 <= abs(whole) <= 4:
        done = base
        for _ in range(abs(whole) - 1):
            done = typing.wrapped(ast.BinOp(done, ast.Mult(), base))
        return done if whole > 0 else ast.BinOp(typing.visit(ast.Constant(1)), ast.Div(), done)
    if exponent == 0.5:
        return _call("sqrt", typing.dtype, [base])
    if exponent == -0.5:
        # pow(-0, -1/2) is inf and pow(-inf, -1/2) is 0, which 1 / sqrt(x) is not
        text = ast.unparse(base)
        return typing.visit(
            ast.parse(
                f"(math.nan if {text} < 0 and {text} > -math.inf else 1.0 / math.sqrt(abs({text})))", mode="eval"
            ).body
        )
    return _call("pow", typing.dtype, [base, typing.visit(ast.Constant(exponent))])


@cache
def _template(kernel: str, count: int, numbers: tuple[Any, ...], dtype: np.dtype[Any]) -> str:
    """Return a kernel for one type; the inputs that are numbers are put in, the others are ``{k}``."""
    names = [f"({numbers[k]!r})" if numbers[k] is not None else f"_in{k}_" for k in range(count)]
    if any(n in ("(inf)", "(-inf)", "(nan)") for n in names):
        raise NoKernel("an infinite number")
    tree = ast.parse(kernel.format(*names), mode="eval")
    tree = ast.fix_missing_locations(_Typing(dtype).visit(_Folding().visit(tree)))
    text = ast.unparse(tree.body)
    for k in range(count):
        text = text.replace(f"_in{k}_", "{" + str(k) + "}")
    return text


class _Folding(ast.NodeTransformer):
    """Makes ``-(2)`` a number."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            number = node.operand.value
            if isinstance(number, (int, float)):
                return ast.Constant(-number)
        return node


def element_type(op: Operation) -> np.dtype[Any]:
    """Return the type in which an elementwise operation computes."""
    primitive = op.primitive
    assert isinstance(primitive, Elementwise)
    first = 1 if primitive.kind == "choose" else 0
    for x in op.inputs[first:]:
        if isinstance(x, Value):
            return x.dtype
    return op.outputs[0].dtype


def expression(op: Operation) -> str:
    """Return the scalar expression of an elementwise operation, with ``{k}`` for the inputs that are values."""
    primitive = op.primitive
    if not isinstance(primitive, Elementwise) or primitive.kernel is None or op.params or len(op.outputs) != 1:
        raise NoKernel(primitive.name)
    dtype = element_type(op)
    out = op.outputs[0].dtype
    if primitive.kind == "float" and dtype.kind != "f":
        raise NoKernel(f"{primitive.name} of {dtype}")
    if out != dtype and out.kind != "b":
        raise NoKernel(f"{primitive.name} from {dtype} to {out}")
    first = 1 if primitive.kind == "choose" else 0
    if first and not isinstance(op.inputs[0], Value):
        raise NoKernel("a choice by a number")
    numbers = tuple(None if isinstance(x, Value) else x for x in op.inputs)
    return _template(primitive.kernel, len(op.inputs), numbers, dtype)
