"""The functions of neural networks, under PyTorch's names.

    from chainrule.nn import functional as F

One file per function, or per kin. Those that are a layer's mathematics are coarse ops, with a
backward derived by hand; the derivations stand in `docs/derivations/`. The others are made of these
and of fine ops.
"""

from chainrule.nn.functional.attention import scaled_dot_product_attention
from chainrule.nn.functional.avg_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
)
from chainrule.nn.functional.batch_norm import batch_norm, instance_norm
from chainrule.nn.functional.binary_cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
)
from chainrule.nn.functional.conv import conv1d, conv2d, conv3d
from chainrule.nn.functional.conv_transpose import conv_transpose1d, conv_transpose2d
from chainrule.nn.functional.cross_entropy import cross_entropy
from chainrule.nn.functional.distances import cosine_similarity, normalize, pairwise_distance
from chainrule.nn.functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
)
from chainrule.nn.functional.embedding import embedding, one_hot
from chainrule.nn.functional.fold import fold, unfold
from chainrule.nn.functional.gelu import gelu
from chainrule.nn.functional.group_norm import group_norm
from chainrule.nn.functional.gumbel_softmax import gumbel_softmax
from chainrule.nn.functional.hard_activations import (
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    relu6,
)
from chainrule.nn.functional.interpolate import interpolate
from chainrule.nn.functional.kl_div import kl_div
from chainrule.nn.functional.layer_norm import layer_norm
from chainrule.nn.functional.linear import bilinear, linear
from chainrule.nn.functional.margin_losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from chainrule.nn.functional.max_pool import max_pool1d, max_pool2d
from chainrule.nn.functional.nll_loss import nll_loss
from chainrule.nn.functional.rectifiers import (
    celu,
    elu,
    elu_,
    leaky_relu,
    leaky_relu_,
    prelu,
    relu,
    relu_,
    selu,
    threshold,
    threshold_,
)
from chainrule.nn.functional.regression_losses import (
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from chainrule.nn.functional.rms_norm import rms_norm
from chainrule.nn.functional.shrink import hardshrink, softshrink, tanhshrink
from chainrule.nn.functional.smooth_activations import (
    glu,
    logsigmoid,
    mish,
    silu,
    softplus,
    softsign,
    swish,
)
from chainrule.nn.functional.softmax import log_softmax, softmax, softmin
from chainrule.ops.elementwise import sigmoid
from chainrule.ops.padding import pad
from chainrule.ops.trigonometry import tanh

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "swish",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "unfold",
]
