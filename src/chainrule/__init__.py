"""chainrule: deep learning from the chain rule to machine code, in Python you can read."""

from chainrule import eager as eager
from chainrule.autograd import enable_grad, inference_mode, no_grad
from chainrule.ops.arithmetic import *
from chainrule.ops.compare import *
from chainrule.ops.create import *
from chainrule.ops.elementwise import *
from chainrule.ops.matmul import *
from chainrule.ops.movement import *
from chainrule.ops.promotion import result_type
from chainrule.ops.reduce import *
from chainrule.tensor import Tensor, as_tensor, from_numpy, tensor
