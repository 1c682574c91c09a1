"""Methods of descent: one pure update rule each, under PyTorch's class interface."""

from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .adam import AMSGrad as AMSGrad
from .adam import Yogi as Yogi
from .adaptive import Adadelta as Adadelta
from .adaptive import Adagrad as Adagrad
from .adaptive import RMSprop as RMSprop
from .optimizer import Optimizer as Optimizer
from .sgd import SGD as SGD
