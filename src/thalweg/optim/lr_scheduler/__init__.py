"""Learning-rate schedulers: PyTorch's, and the source's; thin shells over pure functions of the step."""

from .base import LRScheduler as LRScheduler
from .compose import ChainedScheduler as ChainedScheduler
from .compose import ReduceLROnPlateau as ReduceLROnPlateau
from .compose import SequentialLR as SequentialLR
from .cycles import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from .cycles import CyclicLR as CyclicLR
from .cycles import OneCycleLR as OneCycleLR
from .decays import ConstantLR as ConstantLR
from .decays import CosineAnnealingLR as CosineAnnealingLR
from .decays import CosineLR as CosineLR
from .decays import ExponentialLR as ExponentialLR
from .decays import FactorLR as FactorLR
from .decays import InversePolynomialLR as InversePolynomialLR
from .decays import LambdaLR as LambdaLR
from .decays import LinearLR as LinearLR
from .decays import MultiplicativeLR as MultiplicativeLR
from .decays import MultiStepLR as MultiStepLR
from .decays import PolynomialLR as PolynomialLR
from .decays import SquareRootLR as SquareRootLR
from .decays import StepLR as StepLR
from .decays import WarmupLR as WarmupLR
from .range_test import RangeTest as RangeTest
from .range_test import lr_range_test as lr_range_test
