"""Exchange of tensors with other libraries, under PyTorch's name."""

from ..ops.dlpack import from_dlpack as from_dlpack
from ..ops.dlpack import to_dlpack as to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
