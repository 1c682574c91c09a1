"""Networks: modules, layers, losses, starting values, and files of their state."""

from . import functional as functional
from . import init as init
from . import utils as utils
from .modules.activation import *
from .modules.attention import *
from .modules.batchnorm import *
from .modules.container import *
from .modules.conv import *
from .modules.distance import *
from .modules.dropout import *
from .modules.flatten import *
from .modules.linear import *
from .modules.loss import *
from .modules.module import *
from .modules.normalization import *
from .modules.padding import *
from .modules.pooling import *
from .modules.rnn import *
from .modules.sparse import *
from .modules.transformer import *
from .modules.vision import *
from .parameter import *
from .storage import load as load
from .storage import save as save
