"""Methods of descent: one pure update rule each, under PyTorch's class interface."""

from . import lr_scheduler as lr_scheduler
from . import schedules as schedules
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .adam import AMSGrad as AMSGrad
from .adam import Yogi as Yogi
from .adaptive import Adadelta as Adadelta
from .adaptive import Adagrad as Adagrad
from .adaptive import RMSprop as RMSprop
from .classic import ASGD as ASGD
from .classic import SGLD as SGLD
from .classic import Rprop as Rprop
from .layerwise import LAMB as LAMB
from .layerwise import LARS as LARS
from .lbfgs import LBFGS as LBFGS
from .matrix import Adafactor as Adafactor
from .matrix import Muon as Muon
from .moments import AdaBelief as AdaBelief
from .moments import Adamax as Adamax
from .moments import Lion as Lion
from .moments import NAdam as NAdam
from .moments import RAdam as RAdam
from .optimizer import Optimizer as Optimizer
from .schedule_free import ScheduleFreeAdamW as ScheduleFreeAdamW
from .schedule_free import ScheduleFreeSGD as ScheduleFreeSGD
from .sgd import SGD as SGD
