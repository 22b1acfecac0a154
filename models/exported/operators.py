"""The operators that a program may call: pure functions of tensors, and arithmetic of sizes.

Whoever needs another one adds its line here. It must neither read nor write files, nor draw random
numbers, nor call what its arguments name.
"""

import operator
import re
from collections.abc import Callable
from typing import Any

import torch

ATEN = "torch.ops.aten."
# name and overload of each, without "torch.ops.aten."
_TENSOR_OPERATORS = """
# linear maps
conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default conv3d.padding
conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input
linear.default matmul.default mm.default bmm.default mv.default dot.default vdot.default
addmm.default addmv.default baddbmm.default bilinear.default einsum.default outer.default
scaled_dot_product_attention.default embedding.default
# normalization
batch_norm.default group_norm.default layer_norm.default rms_norm.default instance_norm.default
_weight_norm.default linalg_vector_norm.default norm.ScalarOpt_dim norm.Scalar
cosine_similarity.default
# activations
relu.default relu_.default relu6.default relu6_.default leaky_relu.default leaky_relu_.default
elu.default elu_.default selu.default selu_.default celu.default celu_.default gelu.default
silu.default silu_.default mish.default mish_.default sigmoid.default sigmoid_.default
tanh.default tanh_.default softplus.default softmax.int log_softmax.int log_sigmoid.default
hardtanh.default hardtanh_.default hardswish.default hardswish_.default hardsigmoid.default
hardsigmoid_.default hardshrink.default softshrink.default prelu.default glu.default
threshold.default threshold_.default logsumexp.default
# nothing, in evaluation mode
dropout.default dropout_.default feature_dropout.default feature_dropout_.default
alpha_dropout.default feature_alpha_dropout.default
# pooling and resizing
max_pool1d.default max_pool2d.default max_pool3d.default max_pool2d_with_indices.default
avg_pool1d.default avg_pool2d.default avg_pool3d.default adaptive_avg_pool1d.default
adaptive_avg_pool2d.default adaptive_avg_pool3d.default adaptive_max_pool1d.default
adaptive_max_pool2d.default pixel_shuffle.default pixel_unshuffle.default
upsample_nearest1d.vec upsample_nearest2d.vec upsample_nearest3d.vec upsample_linear1d.vec
upsample_bilinear2d.vec upsample_bicubic2d.vec upsample_trilinear3d.vec
_upsample_nearest_exact1d.vec _upsample_nearest_exact2d.vec _upsample_bilinear2d_aa.vec
# padding
pad.default constant_pad_nd.default reflection_pad1d.default reflection_pad2d.default
reflection_pad3d.default replication_pad1d.default replication_pad2d.default
replication_pad3d.default
# shapes
view.default reshape.default flatten.using_ints unflatten.int permute.default transpose.int
t.default movedim.int movedim.intlist swapaxes.default squeeze.default squeeze.dim squeeze.dims
unsqueeze.default expand.default expand_as.default view_as.default reshape_as.default
repeat.default repeat_interleave.self_int tile.default cat.default stack.default concat.default
hstack.default vstack.default slice.Tensor select.int index.Tensor index_select.default
gather.default narrow.default split.Tensor split.sizes split_with_sizes.default chunk.default
unbind.int roll.default flip.default contiguous.default broadcast_to.default
broadcast_tensors.default diagonal.default tril.default triu.default
# copies and types
clone.default detach.default detach_.default alias.default lift_fresh_copy.default to.dtype
to.dtype_layout to.device to.other _to_copy.default type_as.default
_assert_tensor_metadata.default
# new tensors
zeros.default ones.default full.default zeros_like.default ones_like.default full_like.default
new_zeros.default new_ones.default new_full.default arange.default arange.start
arange.start_step linspace.default eye.default scalar_tensor.default
# arithmetic
add.Tensor add.Scalar add_.Tensor add_.Scalar sub.Tensor sub.Scalar sub_.Tensor sub_.Scalar
rsub.Scalar rsub.Tensor mul.Tensor mul.Scalar mul_.Tensor mul_.Scalar div.Tensor div.Scalar
div_.Tensor div_.Scalar div.Tensor_mode div.Scalar_mode floor_divide.default remainder.Scalar
remainder.Tensor pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar addcmul.default addcdiv.default
neg.default abs.default sign.default exp.default exp_.default expm1.default log.default
log1p.default log2.default log10.default sqrt.default rsqrt.default square.default
reciprocal.default sin.default cos.default tan.default asin.default acos.default atan.default
atan2.default sinh.default cosh.default erf.default floor.default ceil.default round.default
trunc.default clamp.default clamp.Tensor clamp_.default clamp_min.default clamp_max.default
maximum.default minimum.default lerp.Scalar lerp.Tensor fill.Scalar fill_.Scalar copy_.default
# reductions
mean.default mean.dim sum.default sum.dim_IntList prod.default prod.dim_int amax.default
amin.default max.default max.dim max.other min.default min.dim min.other argmax.default
argmin.default std.dim std.correction var.dim var.correction var_mean.correction cumsum.default
topk.default sort.default all.default any.default all.dim any.dim
# comparisons and choices
eq.Scalar eq.Tensor ne.Scalar ne.Tensor lt.Scalar lt.Tensor le.Scalar le.Tensor gt.Scalar
gt.Tensor ge.Scalar ge.Tensor logical_and.default logical_or.default logical_not.default
bitwise_and.Tensor bitwise_or.Tensor bitwise_not.default where.self where.ScalarSelf
where.ScalarOther where.Scalar masked_fill.Scalar masked_fill.Tensor masked_fill_.Scalar
isnan.default isinf.default nan_to_num.default one_hot.default
# sizes
sym_size.int sym_numel.default _assert_scalar.default
"""
TENSOR_OPERATORS = frozenset(
    name
    for line in _TENSOR_OPERATORS.splitlines()
    if not line.startswith("#")
    for name in line.split()
)
# of whole numbers, which are the sizes of batches
ARITHMETIC: dict[str, Callable[..., int]] = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv,
    "_operator.mod": operator.mod,
    "_operator.neg": operator.neg,
    "_operator.eq": operator.eq,
    "_operator.ne": operator.ne,
    "_operator.lt": operator.lt,
    "_operator.le": operator.le,
    "_operator.gt": operator.gt,
    "_operator.ge": operator.ge,
    "torch.sym_max": max,
    "torch.sym_min": min,
}
# arguments that would make results random or change weights
FIXED_ARGUMENTS = {"training": False, "train": False, "dropout_p": 0.0}
# texts by the name of the argument
TEXTS = {
    "mode": re.compile("constant|reflect|replicate|circular"),
    "padding": re.compile("same|valid"),
    "approximate": re.compile("none|tanh"),
    "rounding_mode": re.compile("floor|trunc"),
    "equation": re.compile("[A-Za-z,. >-]{1,200}"),
    "assert_msg": re.compile("(?s:.*)"),  # what an assertion would say
}


def find_operator(target: str) -> Callable[..., Any] | None:
    """The operator with this name, None if it is not on the list."""
    if target in ARITHMETIC:
        return ARITHMETIC[target]
    name = target.removeprefix(ATEN)
    if not target.startswith(ATEN) or name not in TENSOR_OPERATORS:
        return None
    packet, overload = name.split(".")
    # an older torch may lack one
    found: Callable[..., Any] | None = getattr(
        getattr(torch.ops.aten, packet, None), overload, None
    )
    return found
