"""The laboratory: races of optimizers, their records and comparison, paths, and pictures."""

from .compare import Comparison as Comparison
from .compare import compare as compare
from .compare import median_interval as median_interval
from .config import ProblemSpec as ProblemSpec
from .config import RaceConfig as RaceConfig
from .config import resolve_problem as resolve_problem
from .contender import Contender as Contender
from .contender import default_contenders as default_contenders
from .contender import parse_contender as parse_contender
from .profiles import Profiles as Profiles
from .profiles import performance_profiles as performance_profiles
from .race import Interrupted as Interrupted
from .race import Result as Result
from .race import run_race as run_race
from .store import Store as Store
from .sweeps import run_trials as run_trials
from .trace import Path as Path
from .trace import trace as trace
from .trial import Budget as Budget
from .trial import Record as Record
from .tuning_curves import TuningCurve as TuningCurve
from .tuning_curves import expected_best as expected_best
from .tuning_curves import sensitivity as sensitivity
