"""Linear algebra under PyTorch's names: factors, systems, norms and products of matrices and of stacks of them."""

from .errors import LinAlgError as LinAlgError
from .ops.diagonals import linalg_diagonal as diagonal
from .ops.einsum import linalg_cross as cross
from .ops.linalg_factors import cholesky as cholesky
from .ops.linalg_factors import cholesky_ex as cholesky_ex
from .ops.linalg_factors import lu as lu
from .ops.linalg_factors import lu_factor as lu_factor
from .ops.linalg_factors import lu_factor_ex as lu_factor_ex
from .ops.linalg_factors import lu_solve as lu_solve
from .ops.linalg_factors import qr as qr
from .ops.linalg_least_squares import cond as cond
from .ops.linalg_least_squares import lstsq as lstsq
from .ops.linalg_least_squares import matrix_rank as matrix_rank
from .ops.linalg_least_squares import pinv as pinv
from .ops.linalg_norms import matrix_norm as matrix_norm
from .ops.linalg_norms import norm as norm
from .ops.linalg_norms import vecdot as vecdot
from .ops.linalg_norms import vector_norm as vector_norm
from .ops.linalg_products import linalg_vander as vander
from .ops.linalg_products import matrix_exp as matrix_exp
from .ops.linalg_products import matrix_power as matrix_power
from .ops.linalg_products import multi_dot as multi_dot
from .ops.linalg_solve import det as det
from .ops.linalg_solve import inv as inv
from .ops.linalg_solve import inv_ex as inv_ex
from .ops.linalg_solve import slogdet as slogdet
from .ops.linalg_solve import solve as solve
from .ops.linalg_solve import solve_ex as solve_ex
from .ops.linalg_solve import solve_triangular as solve_triangular
from .ops.linalg_solve import tensorinv as tensorinv
from .ops.linalg_solve import tensorsolve as tensorsolve
from .ops.linalg_spectral import eigh as eigh
from .ops.linalg_spectral import eigvalsh as eigvalsh
from .ops.linalg_spectral import svd as svd
from .ops.linalg_spectral import svdvals as svdvals
from .ops.products import matmul as matmul

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
