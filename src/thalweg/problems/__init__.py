"""Problems: what is descended, from typed functions to models fitted to tables."""

from .base import Curvature as Curvature
from .base import Instance as Instance
from .base import Problem as Problem
from .catalogue import PROBLEMS as PROBLEMS
from .catalogue import Entry as Entry
from .catalogue import airfoil as airfoil
from .catalogue import find as find
from .expression import Expression as Expression
from .expression import ExpressionError as ExpressionError
from .expression import parse as parse
from .function import FunctionProblem as FunctionProblem
from .function import expression as expression
from .function import quadratic as quadratic
from .functions import beale as beale
from .functions import booth as booth
from .functions import himmelblau as himmelblau
from .functions import matyas as matyas
from .functions import rosenbrock as rosenbrock
from .functions import sphere as sphere
from .functions import valley as valley
from .regressions import DataProblem as DataProblem
from .regressions import LinearRegression as LinearRegression
from .regressions import LogisticRegression as LogisticRegression
from .regressions import ModelProblem as ModelProblem
