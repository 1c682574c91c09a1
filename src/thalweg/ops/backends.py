"""What programs written for PyTorch ask about other processors and libraries (`thalweg.backends`): there are none."""

from __future__ import annotations

__all__ = ["Backend", "cuda", "cudnn", "mkldnn", "mps"]


class Backend:
    """A processor or library that is not there. Its switches can be set, and change nothing."""

    benchmark = False
    deterministic = False
    enabled = False
    allow_tf32 = False

    def is_available(self) -> bool:
        """Whether it can be used: never."""
        return False

    def is_built(self) -> bool:
        """Whether the library was built for it: never."""
        return False


class _Products(Backend):
    """Products of matrices on a graphics processor."""


class _Cuda(Backend):
    """Graphics processors."""

    matmul = _Products()


cuda = _Cuda()
cudnn = Backend()
mkldnn = Backend()
mps = Backend()
