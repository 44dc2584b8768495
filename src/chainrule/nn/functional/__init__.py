"""The functions of neural networks, under PyTorch's names: `from chainrule.nn import functional as F`.

One file per function or kin. Those that are a layer's mathematics are coarse ops, with a backward
derived by hand; the derivations stand in `docs/derivations/`.
"""

from chainrule.nn.functional.linear import bilinear, linear

__all__ = ["bilinear", "linear"]
