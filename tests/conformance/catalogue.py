"""The operations asked for, by PyTorch's names: family -> names, as they are reached from the top of the package."""

from __future__ import annotations

CREATE = """
    tensor as_tensor from_numpy zeros ones full empty arange linspace logspace eye zeros_like ones_like full_like
    empty_like rand randn randint randperm rand_like randn_like normal bernoulli multinomial meshgrid tril_indices
    triu_indices vander clone scalar_tensor manual_seed Generator get_rng_state set_rng_state Tensor.new_zeros
    Tensor.new_ones Tensor.new_full
"""
ONE_INPUT = """
    abs neg positive exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh
    cosh tanh asinh acosh atanh sigmoid logit erf erfc erfinv lgamma digamma polygamma mvlgamma i0 special.i1
    special.ndtr special.ndtri special.log_ndtr special.entr special.erfcx sinc floor ceil round trunc frac sign sgn
    signbit isnan isinf isfinite isposinf isneginf nan_to_num deg2rad rad2deg logical_not bitwise_not
"""
MORE_INPUTS = """
    add sub mul div true_divide floor_divide remainder fmod pow float_power rsub maximum minimum fmax fmin atan2 hypot
    logaddexp logaddexp2 copysign xlogy special.xlog1py heaviside eq ne lt le gt ge isclose allclose equal logical_and
    logical_or logical_xor bitwise_and bitwise_or bitwise_xor lerp addcmul addcdiv where clamp clamp_min clamp_max ldexp
"""
REDUCE = """
    sum mean prod amax amin aminmax max min argmax argmin all any std var std_mean var_mean logsumexp norm dist median
    nanmedian nansum nanmean quantile cumsum cumprod cummax cummin logcumsumexp count_nonzero diff trapezoid
    cumulative_trapezoid histc bincount corrcoef cov
"""
SHAPE = """
    reshape Tensor.reshape_as Tensor.view Tensor.view_as flatten unflatten ravel squeeze unsqueeze transpose t Tensor.T
    Tensor.mT permute movedim swapaxes Tensor.expand Tensor.expand_as broadcast_to broadcast_tensors Tensor.repeat
    repeat_interleave tile cat stack hstack vstack dstack column_stack split split_with_sizes chunk tensor_split hsplit
    vsplit dsplit unbind flip fliplr flipud roll rot90 diag diagflat diagonal diag_embed tril triu trace narrow select
    Tensor.unfold atleast_1d atleast_2d atleast_3d block_diag cartesian_prod combinations Tensor.contiguous as_strided
"""
INDEX = """
    Tensor.__getitem__ Tensor.__setitem__ index_put gather scatter scatter_add scatter_reduce index_select index_add
    index_copy index_fill masked_fill masked_select masked_scatter take take_along_dim Tensor.put nonzero argwhere sort
    argsort msort topk kthvalue mode unique unique_consecutive searchsorted bucketize isin select_scatter
    diagonal_scatter slice_scatter
"""
LINEAR_ALGEBRA = """
    matmul mm mv bmm dot vdot inner outer addmm addmv addr baddbmm addbmm einsum tensordot kron cross cdist matrix_exp
    linalg.inv linalg.det linalg.slogdet linalg.solve linalg.solve_triangular linalg.cholesky linalg.qr linalg.svd
    linalg.svdvals linalg.eigh linalg.eigvalsh linalg.lstsq linalg.pinv linalg.norm linalg.vector_norm
    linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.multi_dot linalg.cond linalg.lu_factor
    linalg.lu_solve linalg.tensorsolve linalg.tensorinv linalg.vecdot linalg.vander linalg.cross cholesky_solve
    cholesky_inverse triangular_solve logdet
"""
FUNCTIONAL = """
    linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold fold max_pool1d
    max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
    adaptive_max_pool2d batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize dropout
    alpha_dropout relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus softsign softmax log_softmax
    softmin logsigmoid hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink threshold glu embedding one_hot
    pad interpolate pixel_shuffle pixel_unshuffle cosine_similarity pairwise_distance scaled_dot_product_attention
    mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy nll_loss binary_cross_entropy
    binary_cross_entropy_with_logits kl_div poisson_nll_loss gaussian_nll_loss hinge_embedding_loss margin_ranking_loss
    soft_margin_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss triplet_margin_loss
    cosine_embedding_loss
"""
IN_PLACE = """
    add_ sub_ mul_ div_ true_divide_ floor_divide_ remainder_ fmod_ pow_ float_power_ neg_ abs_ exp_ exp2_ expm1_ log_
    log2_ log10_ log1p_ sqrt_ rsqrt_ square_ reciprocal_ sin_ cos_ tan_ asin_ acos_ atan_ sinh_ cosh_ tanh_ asinh_
    acosh_ atanh_ sigmoid_ logit_ erf_ erfc_ erfinv_ lgamma_ digamma_ i0_ sinc_ floor_ ceil_ round_ trunc_ frac_ sign_
    sgn_ nan_to_num_ deg2rad_ rad2deg_ atan2_ hypot_ copysign_ xlogy_ heaviside_ lerp_ addcmul_ addcdiv_ addmm_ addmv_
    addr_ baddbmm_ addbmm_ clamp_ clamp_min_ clamp_max_ ldexp_ cumsum_ cumprod_ tril_ triu_ eq_ ne_ lt_ le_ gt_ ge_
    logical_not_ logical_and_ logical_or_ logical_xor_ bitwise_not_ bitwise_and_ bitwise_or_ bitwise_xor_ zero_ fill_
    copy_ masked_fill_ masked_scatter_ index_add_ index_copy_ index_fill_ index_put_ scatter_ scatter_add_
    scatter_reduce_ put_ uniform_ normal_ bernoulli_ random_ squeeze_ unsqueeze_ transpose_ t_
"""

CATALOGUE: dict[str, tuple[str, ...]] = {
    "create": tuple(CREATE.split()),
    "elementwise, one input": tuple(ONE_INPUT.split()),
    "elementwise, more inputs": tuple(MORE_INPUTS.split()),
    "reduce and scan": tuple(REDUCE.split()),
    "shape": tuple(SHAPE.split()),
    "index": tuple(INDEX.split()),
    "linear algebra": tuple(LINEAR_ALGEBRA.split()),
    "nn.functional": tuple(f"nn.functional.{name}" for name in FUNCTIONAL.split()),
    "in place": tuple(f"Tensor.{name}" for name in IN_PLACE.split()),
}

# Results that are random, or whatever the memory held: shapes and types are compared, values are not.
UNDEFINED_VALUES = {
    "empty", "empty_like", "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "normal", "bernoulli",
    "multinomial", "nn.functional.dropout", "nn.functional.alpha_dropout", "nn.functional.rrelu", "Tensor.uniform_",
    "Tensor.normal_", "Tensor.bernoulli_", "Tensor.random_", "manual_seed", "Generator", "get_rng_state",
    "set_rng_state",
}  # fmt: skip

# Operations whose samples PyTorch keeps under another name.
OTHER_NAME = {
    "nn.functional.softmax": "softmax",
    "nn.functional.log_softmax": "log_softmax",
    "vander": "linalg.vander",
    "swapaxes": "transpose",
    "true_divide": "div",
    "Tensor.true_divide_": "div",
}

# Factorizations whose vectors are unique up to sign, or up to rotation.
UP_TO_GAUGE = {"linalg.svd", "linalg.eigh"}
