"""One-line programs that both libraries run: promotion, edge values, refusals. Values, types and exceptions must agree."""

import math

import numpy as np
import pytest

import thalweg as tw

pytestmark = pytest.mark.conformance

# B truth values, I integers, U bytes, F float32, D float64; t is the library.
EXPRESSIONS = """
    B**B
    B**2
    B**0.5
    B**-1
    I**I
    I**-1
    I**B
    t.pow(2,I)
    t.pow(2,t.tensor([-1,2]))
    t.pow(-1,t.tensor([-1,2]))
    U**2
    U==300
    U+300
    U*-1
    I//0
    I%0
    t.fmod(I,0)
    F//0
    F%0
    t.floor_divide(I,2)
    t.floor_divide(I,B)
    t.remainder(I,2)
    t.fmod(I,2)
    t.fmod(B,B)
    t.remainder(B,B)
    B//B
    I%2.5
    t.square(B)
    t.square(I)
    t.sign(B)
    t.sgn(B)
    t.abs(B)
    -B
    +B
    -U
    t.floor(I)
    t.floor(B)
    t.round(B)
    t.trunc(B)
    t.ceil(B)
    t.frac(I)
    t.frac(B)
    t.round(I)
    t.round(I,decimals=1)
    t.relu(I)
    t.relu(B)
    t.reciprocal(I)
    t.rsqrt(I)
    t.sigmoid(B)
    t.erf(I)
    t.nan_to_num(I)
    t.nan_to_num(B)
    t.deg2rad(I)
    t.deg2rad(B)
    t.logical_not(F)
    t.bitwise_not(I)
    t.bitwise_not(F)
    ~B
    ~F
    I<<1
    I>>1
    F<<1
    t.bitwise_left_shift(I,1)
    B<<1
    I&B
    I&1
    F&1
    I^3
    1|I
    t.logical_and(F,I)
    t.isnan(I)
    t.isinf(F)
    t.isposinf(I)
    t.isposinf(B)
    t.signbit(I)
    t.signbit(B)
    t.heaviside(I,I)
    t.heaviside(F,D)
    t.heaviside(F,t.tensor(1.0))
    t.copysign(I,-1)
    t.copysign(F,-1)
    t.hypot(I,I)
    t.hypot(F,D)
    t.atan2(I,I)
    t.logaddexp(I,I)
    t.logaddexp(F,I)
    t.maximum(F,1)
    t.maximum(F,I)
    t.maximum(B,B)
    t.fmax(I,F)
    t.clamp(I,0.5)
    t.clamp(I,min=B)
    t.clamp(B,0,1)
    t.clamp(I)
    t.clamp(I,min=t.tensor(1.5))
    t.clamp(F,min=t.tensor(1.5),max=2)
    t.clamp_min(I,1)
    t.lerp(F,F,0.5)
    t.lerp(F,D,0.5)
    t.lerp(I,I,0.5)
    t.addcmul(I,I,I,value=2)
    t.addcmul(I,I,I,value=2.5)
    t.addcmul(F,I,I)
    t.addcdiv(I,I,I)
    t.addcdiv(F,I,I)
    t.addcdiv(F,F,F,value=2)
    t.isclose(I,I)
    t.isclose(F,D)
    t.isclose(F,I)
    t.allclose(F,D)
    t.equal(F,D)
    t.equal(F,t.ones(3))
    t.equal(F,I)
    t.ldexp(F,I)
    t.ldexp(I,I)
    t.float_power(I,2)
    t.float_power(2,I)
    t.float_power(2,2)
    t.where(B,F,D)
    t.where(B,1,2.)
    t.where(B,1,2)
    t.where(B,F,1)
    t.where(I,F,1)
    t.where(U,F,1)
    t.where(B,I,1.5)
    t.add(B,B)
    t.sub(B,B)
    t.sub(B,1)
    1-B
    t.sub(I,B)
    t.mul(B,B)
    t.add(F,1,alpha=2)
    t.add(I,1,alpha=2.5)
    t.add(B,B,alpha=2)
    t.add(I,F,alpha=2.5)
    t.rsub(B,1)
    t.rsub(I,2,alpha=3)
    t.add(1,2)
    t.add(2,F)
    t.mul(2,F)
    t.div(2,F)
    t.pow(2,F)
    t.pow(2,2)
    t.sub(2,F)
    t.remainder(2,F)
    t.fmod(2,F)
    t.eq(2,F)
    t.eq(F,2)
    t.maximum(2,F)
    t.atan2(F,2)
    t.bitwise_and(1,I)
    t.logical_and(1,I)
    t.xlogy(2,F)
    t.xlogy(F,2)
    t.special.xlog1py(2,F)
    t.special.zeta(2,I)
    t.copysign(2,F)
    t.ldexp(F,2)
    t.bitwise_left_shift(1,I)
    t.floor_divide(2,F)
    F*np.float64(2)
    F+np.ones(2)
    F*None
    F+'a'
    F+[1,2]
    F==None
    F=='a'
    F<None
    F==[1.5,-2]
    F!=None
    t.add(F,'a')
    t.polygamma(0,F)
    t.polygamma(-1,F)
    t.mvlgamma(F,2)
    t.mvlgamma(F+10,0)
    t.mvlgamma(I+10,2)
    t.logit(I)
    t.div(F,F,rounding_mode='x')
    t.div(I,I,rounding_mode='trunc')
    t.div(B,B)
    t.true_divide(I,I)
    t.nn.functional.leaky_relu(I)
    t.nn.functional.gelu(I)
    t.nn.functional.gelu(F,approximate='x')
    t.nn.functional.elu(I)
    t.nn.functional.softplus(I)
    t.nn.functional.hardtanh(I)
    t.nn.functional.relu6(I)
    t.nn.functional.hardtanh(F,2,1)
    t.nn.functional.silu(I)
    t.nn.functional.threshold(I,0,5)
    t.nn.functional.softshrink(F,-1)
    t.nn.functional.glu(t.ones(3))
    t.nn.functional.glu(t.tensor(1.))
    t.nn.functional.prelu(F,t.ones(3))
    t.nn.functional.prelu(F,t.tensor(.5))
    t.nn.functional.prelu(F.float(),t.ones(1).double())
    t.nn.functional.celu(F,0)
    t.nn.functional.hardsigmoid(I)
    t.nn.functional.hardswish(I)
    t.nn.functional.logsigmoid(I)
    t.nn.functional.softsign(I)
    t.nn.functional.tanhshrink(I)
    t.nn.functional.hardshrink(I)
    t.nn.functional.mish(I)
    t.nn.functional.selu(I)
    t.nn.functional.rrelu(F,.5,.1)
    t.tensor(1)+t.tensor([1],dtype=t.int32)
    t.tensor(1.,dtype=t.float64)*t.tensor([1],dtype=t.int32)
    t.result_type(I,1.0)
    t.result_type(F,t.tensor(1.0,dtype=t.float64))
    t.promote_types(t.uint8,t.int32)
    t.can_cast(t.float32,t.int64)
    t.can_cast(t.int64,t.uint8)
    t.can_cast(t.bool,t.uint8)
    t.finfo(t.float32)
    t.iinfo(t.int32)
    t.finfo()
    t.finfo(t.int32)
    t.iinfo(t.float32)
    t.finfo(t.float64).max
    t.is_nonzero(t.tensor(2))
    t.is_tensor(1)
    t.is_floating_point(F)
    t.numel(F)
    t.numel(1)
""".strip().splitlines()


def outcome(t, text):
    names = {
        "t": t,
        "np": np,
        "inf": math.inf,
        "nan": math.nan,
        "B": t.tensor([True, False]),
        "I": t.tensor([2, -3]),
        "U": t.tensor([2, 200], dtype=t.uint8),
        "F": t.tensor([1.5, -2]),
        "D": t.tensor([1.5, -2], dtype=t.float64),
    }
    try:
        return eval(text, names)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what we compare)
        return error


@pytest.mark.parametrize("text", [e.strip() for e in EXPRESSIONS])
@pytest.mark.filterwarnings("ignore")
def test_same_outcome(text):
    torch = pytest.importorskip("torch")
    found, expected = outcome(tw, text), outcome(torch, text)
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)), f"{found!r} instead of {expected!r}"
    elif isinstance(expected, torch.Tensor):
        assert not isinstance(found, Exception), repr(found)
        assert str(found.dtype).split(".")[1] == str(expected.dtype).split(".")[1]
        assert tuple(found.shape) == tuple(expected.shape)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-7)
    else:
        assert str(found).replace("thalweg", "torch") == str(expected)
