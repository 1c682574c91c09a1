"""Data sets: small ones that come with scikit-learn, two that are fetched, your own tables, and generated ones."""

from .bundled import breast_cancer as breast_cancer
from .bundled import diabetes as diabetes
from .bundled import digits as digits
from .bundled import iris as iris
from .bundled import wine as wine
from .fetched import airfoil as airfoil
from .fetched import fashion_mnist as fashion_mnist
from .generated import regression as regression
from .table import Table as Table
from .text import csv as csv
