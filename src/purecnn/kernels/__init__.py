"""Kernels: the arithmetic of the layers as pure functions on arrays, the batch on the last axis.

`reference` has each forward and backward pass in a few readable lines; the others compute the same
faster: `cpu` chooses between `unrolled`, `winograd`, `grouped` and `pooled`, of which all but `grouped`
share `rows`, and `transposed` turns them round; `device` is what GPUs want. A convolution's geometry is a
`Window`. On a CPU the convolutions of `reference` serve as documents and oracles; `resampling` is the same
everywhere.

Imports `backend`. Begin with `reference`, then `unrolled`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.kernels.geometry import Window as Window
    from purecnn.kernels.geometry import output_size as output_size
    from purecnn.kernels.geometry import pad as pad
    from purecnn.kernels.reference import adaptive_average_pool_backward as adaptive_average_pool_backward
    from purecnn.kernels.reference import adaptive_average_pool_forward as adaptive_average_pool_forward
    from purecnn.kernels.reference import adaptive_max_pool_backward as adaptive_max_pool_backward
    from purecnn.kernels.reference import adaptive_max_pool_forward as adaptive_max_pool_forward
    from purecnn.kernels.reference import average_pool_backward as average_pool_backward
    from purecnn.kernels.reference import average_pool_forward as average_pool_forward
    from purecnn.kernels.reference import batch_norm_backward as batch_norm_backward
    from purecnn.kernels.reference import batch_norm_forward as batch_norm_forward
    from purecnn.kernels.reference import conv2d_backward as conv2d_backward
    from purecnn.kernels.reference import conv2d_forward as conv2d_forward
    from purecnn.kernels.reference import dense_backward as dense_backward
    from purecnn.kernels.reference import dense_forward as dense_forward
    from purecnn.kernels.reference import global_average_pool_backward as global_average_pool_backward
    from purecnn.kernels.reference import global_average_pool_forward as global_average_pool_forward
    from purecnn.kernels.reference import group_norm_backward as group_norm_backward
    from purecnn.kernels.reference import group_norm_forward as group_norm_forward
    from purecnn.kernels.reference import layer_norm_backward as layer_norm_backward
    from purecnn.kernels.reference import layer_norm_forward as layer_norm_forward
    from purecnn.kernels.reference import leaky_relu_forward as leaky_relu_forward
    from purecnn.kernels.reference import max_pool_backward as max_pool_backward
    from purecnn.kernels.reference import max_pool_forward as max_pool_forward
    from purecnn.kernels.reference import relu_backward as relu_backward
    from purecnn.kernels.reference import relu_forward as relu_forward
    from purecnn.kernels.reference import transposed_conv2d_backward as transposed_conv2d_backward
    from purecnn.kernels.reference import transposed_conv2d_forward as transposed_conv2d_forward
    from purecnn.kernels.resampling import border_pad_backward as border_pad_backward
    from purecnn.kernels.resampling import border_pad_forward as border_pad_forward
    from purecnn.kernels.resampling import channel_shuffle_backward as channel_shuffle_backward
    from purecnn.kernels.resampling import channel_shuffle_forward as channel_shuffle_forward
    from purecnn.kernels.resampling import depth_to_space_backward as depth_to_space_backward
    from purecnn.kernels.resampling import depth_to_space_forward as depth_to_space_forward
    from purecnn.kernels.resampling import upsample_backward as upsample_backward
    from purecnn.kernels.resampling import upsample_forward as upsample_forward
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "geometry": "Window output_size pad",
            "reference": (
                "adaptive_average_pool_backward adaptive_average_pool_forward "
                "adaptive_max_pool_backward adaptive_max_pool_forward "
                "average_pool_backward average_pool_forward batch_norm_backward "
                "batch_norm_forward conv2d_backward conv2d_forward dense_backward dense_forward "
                "global_average_pool_backward global_average_pool_forward group_norm_backward "
                "group_norm_forward layer_norm_backward layer_norm_forward leaky_relu_forward "
                "max_pool_backward max_pool_forward relu_backward relu_forward "
                "transposed_conv2d_backward transposed_conv2d_forward"
            ),
            "resampling": (
                "border_pad_backward border_pad_forward channel_shuffle_backward channel_shuffle_forward "
                "depth_to_space_backward depth_to_space_forward upsample_backward upsample_forward"
            ),
        },
    )
