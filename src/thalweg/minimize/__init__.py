"""Classical minimization: a direction, a distance, a stopping test; and SciPy's methods with exact derivatives.

>>> import thalweg as tw
>>> tw.minimize.minimize(lambda x: ((x - 3) ** 2).sum(), [0.0], method="newton").x
array([3.])
"""

from .api import METHODS as METHODS
from .api import OWN_METHODS as OWN_METHODS
from .api import minimize as minimize
from .line_search import Armijo as Armijo
from .line_search import Bisection as Bisection
from .line_search import Fixed as Fixed
from .line_search import GoldenSection as GoldenSection
from .line_search import StrongWolfe as StrongWolfe
from .line_search import bisection as bisection
from .line_search import golden_section as golden_section
