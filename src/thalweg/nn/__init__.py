"""Networks: modules, layers, losses, starting values."""

from . import functional as functional
from . import init as init
from .modules.activation import *
from .modules.container import *
from .modules.conv import *
from .modules.flatten import *
from .modules.linear import *
from .modules.loss import *
from .modules.module import *
from .modules.pooling import *
from .parameter import *
