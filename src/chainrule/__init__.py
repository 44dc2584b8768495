"""chainrule: deep learning from the chain rule to machine code, in Python you can read.

The names and conventions are PyTorch's: `import chainrule as torch` carries most code over.

>>> import chainrule
>>> x = chainrule.tensor([1.0, 2.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4.])

Everything that `chainrule.ops` offers is here, and `Tensor`, the dtypes, the grad modes and the
random number generators. The rooms above (`nn`, `optim`, `data`, ...) are loaded when they are
first named, so that importing this package costs little more than importing NumPy.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import autograd as autograd
from chainrule import eager as eager
from chainrule import ops as ops
from chainrule.autograd.grad_mode import *
from chainrule.core.dtypes import *
from chainrule.ops.aliases import *
from chainrule.ops.arithmetic import *
from chainrule.ops.bitwise import *
from chainrule.ops.bounds import *
from chainrule.ops.broadcasting import *
from chainrule.ops.classify import *
from chainrule.ops.compare import *
from chainrule.ops.counting import *
from chainrule.ops.create import *
from chainrule.ops.description import *
from chainrule.ops.division import *
from chainrule.ops.einsum import *
from chainrule.ops.elementwise import *
from chainrule.ops.extrema import *
from chainrule.ops.from_data import *
from chainrule.ops.gathering import *
from chainrule.ops.generator import *
from chainrule.ops.indexing import *
from chainrule.ops.joining import *
from chainrule.ops.matmul import *
from chainrule.ops.movement import *
from chainrule.ops.norms import *
from chainrule.ops.order import *
from chainrule.ops.powers import *
from chainrule.ops.products import *
from chainrule.ops.promotion import result_type as result_type
from chainrule.ops.random import *
from chainrule.ops.rearrange import *
from chainrule.ops.reduce import *
from chainrule.ops.rounding import *
from chainrule.ops.sampling import *
from chainrule.ops.scan import *
from chainrule.ops.sequences import *
from chainrule.ops.special import *
from chainrule.ops.splitting import *
from chainrule.ops.triangles import *
from chainrule.ops.trigonometry import *
from chainrule.ops.variance import *
from chainrule.ops.windows import *
from chainrule.tensor import Tensor as Tensor

if TYPE_CHECKING:
    from chainrule import data as data
    from chainrule import func as func
    from chainrule import nn as nn
    from chainrule import optim as optim
    from chainrule.compile import compile as compile
    from chainrule.compile.team import get_num_threads as get_num_threads
    from chainrule.compile.team import set_num_threads as set_num_threads
    from chainrule.explain import explain as explain
    from chainrule.explain.check import check as check
    from chainrule.explain.derivation import derivative as derivative
    from chainrule.nn.functional import celu as celu
    from chainrule.nn.functional import conv1d as conv1d
    from chainrule.nn.functional import conv2d as conv2d
    from chainrule.nn.functional import conv_transpose1d as conv_transpose1d
    from chainrule.nn.functional import conv_transpose2d as conv_transpose2d
    from chainrule.nn.functional import cosine_similarity as cosine_similarity
    from chainrule.nn.functional import dropout as dropout
    from chainrule.nn.functional import log_softmax as log_softmax
    from chainrule.nn.functional import pairwise_distance as pairwise_distance
    from chainrule.nn.functional import prelu as prelu
    from chainrule.nn.functional import relu as relu
    from chainrule.nn.functional import relu_ as relu_
    from chainrule.nn.functional import selu as selu
    from chainrule.nn.functional import softmax as softmax
    from chainrule.printing import set_printoptions as set_printoptions

__version__ = "0.1.0"

# The dtypes under all of PyTorch's names. From here on, `bool`, `int` and `float` are dtypes.
dtype = DType
bool = bool_
short, int, long = int16, int32, int64
half, float, double = float16, float32, float64

ROOMS = ("compile", "data", "explain", "func", "interop", "ir", "nn", "optim", "serve", "train")
"""What is loaded when it is first named."""

OWN = (
    "DType",
    "Tensor",
    "autograd",
    "bool",
    "bool_",
    "can_cast",
    "double",
    "dtype",
    "enable_grad",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "get_num_threads",
    "half",
    "iinfo",
    "inference_mode",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "long",
    "no_grad",
    "promote_types",
    "result_type",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "set_printoptions",
    "short",
    "uint8",
)
"""What this package offers beside the functions of `ops`."""


EXPLAINED = {
    "check": "chainrule.explain.check",
    "derivative": "chainrule.explain.derivation",
}
"""Functions of `explain` that stand at the top, and where they are."""

FUNCTIONAL = (
    "celu",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_similarity",
    "dropout",
    "log_softmax",
    "pairwise_distance",
    "prelu",
    "relu",
    "relu_",
    "selu",
    "softmax",
)
"""Functions of `nn.functional` that PyTorch has at the top as well; looked up when first named."""

FUNCTIONAL_METHODS = ("log_softmax", "relu", "relu_", "softmax")
"""Those that are methods of a tensor too."""


@cache
def _functional(name: str) -> Any:
    return getattr(import_module("chainrule.nn.functional"), name)


def _functional_method(name: str) -> Any:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return _functional(name)(self, *args, **kwargs)

    method.__name__, method.__doc__ = name, f"See `chainrule.nn.functional.{name}`."
    return method


for _name in FUNCTIONAL_METHODS:
    setattr(Tensor, _name, _functional_method(_name))


def __getattr__(name: str) -> Any:
    """A room above the tensors, loaded now; or `__all__`, the sum of what the families offer."""
    if name == "__all__":
        return sorted({*OWN, *(each for family in ops.FAMILIES for each in family.__all__)})
    if name in ROOMS:
        from importlib.util import find_spec

        if find_spec(f"chainrule.{name}") is not None:
            return import_module(f"chainrule.{name}")
    if name in FUNCTIONAL:
        return _functional(name)
    if name in EXPLAINED:
        return getattr(import_module(EXPLAINED[name]), name)
    if name == "set_printoptions":
        return import_module("chainrule.printing").set_printoptions
    if name in ("get_num_threads", "set_num_threads"):
        return getattr(import_module("chainrule.compile.team"), name)
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is loaded, and what can be."""
    return sorted({*globals(), *__getattr__("__all__"), *ROOMS, *EXPLAINED})
