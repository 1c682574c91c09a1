"""Operations that write into the tensor, as methods."""

from __future__ import annotations

from .. import inplace


class InPlace:
    """Operations that write into the tensor."""

    __slots__ = ()

    add_ = inplace.add_
    sub_ = inplace.sub_
    mul_ = multiply_ = inplace.mul_
    div_ = divide_ = true_divide_ = inplace.div_
    pow_ = inplace.pow_
    neg_ = inplace.neg_
    abs_ = inplace.abs_
    exp_ = inplace.exp_
    log_ = inplace.log_
    sqrt_ = inplace.sqrt_
    square_ = inplace.square_
    tanh_ = inplace.tanh_
    sigmoid_ = inplace.sigmoid_
    relu_ = inplace.relu_
    copy_ = inplace.copy_
    fill_ = inplace.fill_
    zero_ = inplace.zero_
