"""Operations that write into the tensor, as methods."""

from __future__ import annotations

from .. import distributions, inplace, inplace_pointwise


class InPlace:
    """Operations that write into the tensor."""

    __slots__ = ()

    copy_ = inplace.copy_
    fill_ = inplace.fill_
    zero_ = inplace.zero_
    bernoulli_ = distributions.bernoulli_
    cauchy_ = distributions.cauchy_
    exponential_ = distributions.exponential_
    geometric_ = distributions.geometric_
    log_normal_ = distributions.log_normal_
    normal_ = distributions.normal_
    random_ = distributions.random_
    uniform_ = distributions.uniform_
    add_ = inplace.add_
    sub_ = subtract_ = inplace.sub_
    mul_ = multiply_ = inplace.mul_
    div_ = divide_ = inplace.div_
    true_divide_ = inplace.true_divide_
    pow_ = inplace.pow_
    floor_divide_ = inplace.floor_divide_
    remainder_ = inplace.remainder_
    fmod_ = inplace.fmod_
    float_power_ = inplace.float_power_
    addcmul_ = inplace.addcmul_
    addcdiv_ = inplace.addcdiv_
    lerp_ = inplace.lerp_
    clamp_ = clip_ = inplace.clamp_
    clamp_min_ = inplace.clamp_min_
    clamp_max_ = inplace.clamp_max_
    atan2_ = arctan2_ = inplace.atan2_
    hypot_ = inplace.hypot_
    copysign_ = inplace.copysign_
    heaviside_ = inplace.heaviside_
    xlogy_ = inplace.xlogy_
    ldexp_ = inplace.ldexp_
    eq_ = inplace.eq_
    ne_ = not_equal_ = inplace.ne_
    lt_ = less_ = inplace.lt_
    le_ = less_equal_ = inplace.le_
    gt_ = greater_ = inplace.gt_
    ge_ = greater_equal_ = inplace.ge_
    logical_and_ = inplace.logical_and_
    logical_or_ = inplace.logical_or_
    logical_xor_ = inplace.logical_xor_
    bitwise_and_ = inplace.bitwise_and_
    bitwise_or_ = inplace.bitwise_or_
    bitwise_xor_ = inplace.bitwise_xor_
    bitwise_left_shift_ = inplace.bitwise_left_shift_
    bitwise_right_shift_ = inplace.bitwise_right_shift_
    abs_ = absolute_ = inplace_pointwise.abs_
    acos_ = arccos_ = inplace_pointwise.acos_
    acosh_ = arccosh_ = inplace_pointwise.acosh_
    asin_ = arcsin_ = inplace_pointwise.asin_
    asinh_ = arcsinh_ = inplace_pointwise.asinh_
    atan_ = arctan_ = inplace_pointwise.atan_
    atanh_ = arctanh_ = inplace_pointwise.atanh_
    cos_ = inplace_pointwise.cos_
    cosh_ = inplace_pointwise.cosh_
    deg2rad_ = inplace_pointwise.deg2rad_
    exp_ = inplace_pointwise.exp_
    exp2_ = inplace_pointwise.exp2_
    expm1_ = inplace_pointwise.expm1_
    log_ = inplace_pointwise.log_
    log10_ = inplace_pointwise.log10_
    log1p_ = inplace_pointwise.log1p_
    log2_ = inplace_pointwise.log2_
    neg_ = negative_ = inplace_pointwise.neg_
    rad2deg_ = inplace_pointwise.rad2deg_
    reciprocal_ = inplace_pointwise.reciprocal_
    relu_ = inplace_pointwise.relu_
    rsqrt_ = inplace_pointwise.rsqrt_
    sgn_ = inplace_pointwise.sgn_
    sigmoid_ = inplace_pointwise.sigmoid_
    sign_ = inplace_pointwise.sign_
    sin_ = inplace_pointwise.sin_
    sinc_ = inplace_pointwise.sinc_
    sinh_ = inplace_pointwise.sinh_
    sqrt_ = inplace_pointwise.sqrt_
    square_ = inplace_pointwise.square_
    tan_ = inplace_pointwise.tan_
    tanh_ = inplace_pointwise.tanh_
    digamma_ = inplace_pointwise.digamma_
    erf_ = inplace_pointwise.erf_
    erfc_ = inplace_pointwise.erfc_
    erfinv_ = inplace_pointwise.erfinv_
    i0_ = inplace_pointwise.i0_
    lgamma_ = inplace_pointwise.lgamma_
    ceil_ = inplace_pointwise.ceil_
    floor_ = inplace_pointwise.floor_
    frac_ = inplace_pointwise.frac_
    trunc_ = fix_ = inplace_pointwise.trunc_
    round_ = inplace_pointwise.round_
    logit_ = inplace_pointwise.logit_
    nan_to_num_ = inplace_pointwise.nan_to_num_
    polygamma_ = inplace_pointwise.polygamma_
    mvlgamma_ = inplace_pointwise.mvlgamma_
    logical_not_ = inplace_pointwise.logical_not_
    bitwise_not_ = inplace_pointwise.bitwise_not_
