"""The naive twins: every formula of the package once more, as plain loops over single numbers.

They are the oracle of the fast code, so they are written to be obviously correct, never to be fast, and they
import nothing from the package. `test_plain_loops.py` holds them in turn to PyTorch's numbers and to answers
worked by hand. The batch is the last axis everywhere: images are (C, H, W, N), vectors (features, N), all
float64.

Letters: C channels in, M channels out, (H, W) an image, (KH, KW) a kernel, (PH, PW) a pooling window,
(OH, OW) an output image, N samples.
"""

import math

import numpy as np

# ----------------------------------------------------------------------------------------------- signals


def conv1d_forward(x, kernels, biases, stride, padding, dilation=1, groups=1):
    """x (C, L, N), kernels (M, C / groups, K), biases None or (M,) -> y (M, OL, N); two paddings."""
    (_, length, samples), (maps, channels, size) = x.shape, kernels.shape
    before, behind = padding
    y = np.zeros((maps, (before + length + behind - (size - 1) * dilation - 1) // stride + 1, samples))
    for m, p, n in np.ndindex(y.shape):
        y[m, p, n] = 0.0 if biases is None else biases[m]
        for c in range(channels):
            for j in range(size):
                place = p * stride + j * dilation - before
                if 0 <= place < length:
                    y[m, p, n] += kernels[m, c, j] * x[m // (maps // groups) * channels + c, place, n]
    return y


def conv1d_backward(g, x, kernels, stride, padding, dilation=1, groups=1):
    """g (M, OL, N), x (C, L, N), kernels (M, C / groups, K) -> dx, dkernels and dbiases (M,)."""
    (_, length, _), (maps, channels, size) = x.shape, kernels.shape
    dx, dkernels, dbiases = np.zeros(x.shape), np.zeros(kernels.shape), np.zeros(maps)
    for m, p, n in np.ndindex(g.shape):
        dbiases[m] += g[m, p, n]
        for c in range(channels):
            for j in range(size):
                place, channel = p * stride + j * dilation - padding[0], m // (maps // groups) * channels + c
                if 0 <= place < length:
                    dx[channel, place, n] += kernels[m, c, j] * g[m, p, n]
                    dkernels[m, c, j] += x[channel, place, n] * g[m, p, n]
    return dx, dkernels, dbiases


def pool1d(x, g, size, stride):
    """x (C, L, N), g (C, OL, N) -> the largest of each window and its dx, the mean of each and its dx."""
    largest, mean, dlargest, dmean = (
        np.zeros(g.shape),
        np.zeros(g.shape),
        np.zeros(x.shape),
        np.zeros(x.shape),
    )
    for c, p, n in np.ndindex(g.shape):
        window = [p * stride + j for j in range(size)]
        best = window[0]
        for place in window:
            mean[c, p, n] += x[c, place, n] / size
            dmean[c, place, n] += g[c, p, n] / size
            if x[c, place, n] > x[c, best, n]:
                best = place
        largest[c, p, n] = x[c, best, n]
        dlargest[c, best, n] += g[c, p, n]
    return largest, dlargest, mean, dmean


# ------------------------------------------------------------------------------------------- convolution


def _taps(image, window, stride, padding=((0, 0), (0, 0)), dilation=(1, 1)):
    """Yield (i, j, a, b, row, column): output (i, j) sees image cell (row, column) by kernel cell (a, b).

    Cells in the padding are left out: they hold zeros, which add nothing.
    """
    (height, width), (kh, kw), (sh, sw), ((top, bottom), (left, right)) = image, window, stride, padding
    for i in range((top + height + bottom - (kh - 1) * dilation[0] - 1) // sh + 1):
        for j in range((left + width + right - (kw - 1) * dilation[1] - 1) // sw + 1):
            for a in range(kh):
                for b in range(kw):
                    row, column = i * sh + a * dilation[0] - top, j * sw + b * dilation[1] - left
                    if 0 <= row < height and 0 <= column < width:
                        yield i, j, a, b, row, column


def conv2d_forward(x, kernels, biases, stride, padding, dilation=(1, 1), groups=1):
    """x (C, H, W, N), kernels (M, C / groups, KH, KW), biases None, (M,) or (M, OH, OW) -> y (M, OH, OW, N).

    Cross-correlation; stride (sh, sw); padding ((top, bottom), (left, right)) of zeros; the kernel's cells
    lie dilation (dh, dw) apart; map m looks at the channels of its own group.
    """
    (_, height, width, samples), (depth, channels, kh, kw) = x.shape, kernels.shape
    (top, bottom), (left, right) = padding
    oh = (top + height + bottom - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    ow = (left + width + right - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((depth, oh, ow, samples))
    for i, j, a, b, row, column in _taps((height, width), (kh, kw), stride, padding, dilation):
        for m in range(depth):
            for c in range(channels):
                channel = m // (depth // groups) * channels + c
                for n in range(samples):
                    y[m, i, j, n] += kernels[m, c, a, b] * x[channel, row, column, n]
    if biases is not None:
        for m, i, j, n in np.ndindex(y.shape):
            y[m, i, j, n] += biases[m] if biases.ndim == 1 else biases[m, i, j]
    return y


def conv2d_backward(g, x, kernels, stride, padding, dilation=(1, 1), groups=1):
    """g (M, OH, OW, N), x (C, H, W, N), kernels (M, C / groups, KH, KW) -> dx, dkernels, dbiases and another.

    dx and dkernels have the shapes of x and kernels, dbiases is (M,); the last is the gradient of biases per
    output position, (M, OH, OW).
    """
    (_, height, width, samples), (depth, channels, kh, kw) = x.shape, kernels.shape
    dx, dkernels = np.zeros(x.shape), np.zeros(kernels.shape)
    dbiases, dbiases_per_position = np.zeros(depth), np.zeros(g.shape[:3])
    for i, j, a, b, row, column in _taps((height, width), (kh, kw), stride, padding, dilation):
        for m in range(depth):
            for c in range(channels):
                channel = m // (depth // groups) * channels + c
                for n in range(samples):
                    dx[channel, row, column, n] += g[m, i, j, n] * kernels[m, c, a, b]
                    dkernels[m, c, a, b] += g[m, i, j, n] * x[channel, row, column, n]
    for m, i, j, n in np.ndindex(g.shape):
        dbiases[m] += g[m, i, j, n]
        dbiases_per_position[m, i, j] += g[m, i, j, n]
    return dx, dkernels, dbiases, dbiases_per_position


# -------------------------------------------------------------------------------- transposed convolution


def _adds(x, kernels, size, stride, padding, dilation, groups):
    """Yield (c, p, q, k, a, b, m, row, column): pixel (c, p, q) times (c, k, a, b) is in y.

    What would lie outside of an output of `size` is left out.
    """
    (channels, height, width, _), (_, maps, kh, kw) = x.shape, kernels.shape
    for c, p, q, k, a, b in np.ndindex(channels, height, width, maps, kh, kw):
        row = p * stride[0] + a * dilation[0] - padding[0][0]
        column = q * stride[1] + b * dilation[1] - padding[1][0]
        if 0 <= row < size[0] and 0 <= column < size[1]:
            yield c, p, q, k, a, b, c // (channels // groups) * maps + k, row, column


def transposed_conv2d_forward(x, kernels, biases, size, stride, padding, dilation=(1, 1), groups=1):
    """x (C, H, W, N), kernels (C, M / groups, KH, KW), biases None or (M,) -> y (M, OH, OW, N).

    Size (OH, OW); stride (sh, sw); padding ((top, bottom), (left, right)) that is cut off.
    """
    y = np.zeros((kernels.shape[1] * groups, *size, x.shape[3]))
    for c, p, q, k, a, b, m, row, column in _adds(x, kernels, size, stride, padding, dilation, groups):
        for n in range(x.shape[3]):
            y[m, row, column, n] += kernels[c, k, a, b] * x[c, p, q, n]
    if biases is not None:
        for m, i, j, n in np.ndindex(y.shape):
            y[m, i, j, n] += biases[m]
    return y


def transposed_conv2d_backward(g, x, kernels, stride, padding, dilation=(1, 1), groups=1):
    """g (M, OH, OW, N), x (C, H, W, N), kernels (C, M / groups, KH, KW) -> dx, dkernels and dbiases (M,)."""
    dx, dkernels, dbiases = np.zeros(x.shape), np.zeros(kernels.shape), np.zeros(len(g))
    for c, p, q, k, a, b, m, row, column in _adds(
        x, kernels, g.shape[1:3], stride, padding, dilation, groups
    ):
        for n in range(x.shape[3]):
            dx[c, p, q, n] += kernels[c, k, a, b] * g[m, row, column, n]
            dkernels[c, k, a, b] += g[m, row, column, n] * x[c, p, q, n]
    for m, i, j, n in np.ndindex(g.shape):
        dbiases[m] += g[m, i, j, n]
    return dx, dkernels, dbiases


# ----------------------------------------------------------------------------------------------- pooling


def _pooled_shape(x, size, stride):
    """x (C, H, W, N) -> (C, OH, OW, N). Windows that do not fit at the right or bottom edge are dropped."""
    channels, height, width, samples = x.shape
    return channels, (height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1, samples


def _first_maximum(x, c, i, j, n, size, stride):
    """x (C, H, W, N) -> (row, column) of the first maximum, in row order, of window (i, j)."""
    best = (i * stride[0], j * stride[1])
    for a in range(size[0]):
        for b in range(size[1]):
            cell = (i * stride[0] + a, j * stride[1] + b)
            if x[c, *cell, n] > x[c, *best, n]:  # strictly greater: a tie stays with the earlier cell
                best = cell
    return best


def max_pool_forward(x, size, stride):
    """x (C, H, W, N), size (PH, PW), stride (sh, sw) -> y (C, OH, OW, N)."""
    y = np.zeros(_pooled_shape(x, size, stride))
    for c, i, j, n in np.ndindex(y.shape):
        row, column = _first_maximum(x, c, i, j, n, size, stride)
        y[c, i, j, n] = x[c, row, column, n]
    return y


def max_pool_backward(g, x, size, stride):
    """g (C, OH, OW, N), x (C, H, W, N), size (PH, PW), stride (sh, sw) -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for c, i, j, n in np.ndindex(g.shape):
        row, column = _first_maximum(x, c, i, j, n, size, stride)
        dx[c, row, column, n] += g[c, i, j, n]
    return dx


def average_pool_forward(x, size, stride):
    """x (C, H, W, N), size (PH, PW), stride (sh, sw) -> y (C, OH, OW, N)."""
    y = np.zeros(_pooled_shape(x, size, stride))
    for i, j, _, _, row, column in _taps(x.shape[1:3], size, stride):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                y[c, i, j, n] += x[c, row, column, n] / (size[0] * size[1])
    return y


def average_pool_backward(g, x, size, stride):
    """g (C, OH, OW, N), x (C, H, W, N), size (PH, PW), stride (sh, sw) -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for i, j, _, _, row, column in _taps(x.shape[1:3], size, stride):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                dx[c, row, column, n] += g[c, i, j, n] / (size[0] * size[1])
    return dx


def global_average_pool_forward(x):
    """x (C, H, W, N) -> y (C, N)."""
    y = np.zeros((x.shape[0], x.shape[3]))
    for c, i, j, n in np.ndindex(x.shape):
        y[c, n] += x[c, i, j, n] / (x.shape[1] * x.shape[2])
    return y


def global_average_pool_backward(g, x):
    """g (C, N), x (C, H, W, N) -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for c, i, j, n in np.ndindex(x.shape):
        dx[c, i, j, n] = g[c, n] / (x.shape[1] * x.shape[2])
    return dx


def adaptive_windows(shape, size):
    """Yield (i, j, cells): each output position, and the cells of its window in row order."""
    for i, j in np.ndindex(*size):
        rows = range(math.floor(i * shape[0] / size[0]), math.ceil((i + 1) * shape[0] / size[0]))
        columns = range(math.floor(j * shape[1] / size[1]), math.ceil((j + 1) * shape[1] / size[1]))
        yield i, j, [(row, column) for row in rows for column in columns]


def adaptive_average_pool_forward(x, size):
    """x (C, H, W, N), size (OH, OW) -> y (C, OH, OW, N)."""
    y = np.zeros((x.shape[0], *size, x.shape[3]))
    for i, j, cells in adaptive_windows(x.shape[1:3], size):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                y[c, i, j, n] = sum(x[c, *cell, n] for cell in cells) / len(cells)
    return y


def adaptive_average_pool_backward(g, x):
    """g (C, OH, OW, N), x (C, H, W, N) -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for i, j, cells in adaptive_windows(x.shape[1:3], g.shape[1:3]):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                for cell in cells:
                    dx[c, *cell, n] += g[c, i, j, n] / len(cells)
    return dx


def adaptive_max_pool_forward(x, size):
    """x (C, H, W, N), size (OH, OW) -> y (C, OH, OW, N)."""
    y = np.zeros((x.shape[0], *size, x.shape[3]))
    for i, j, cells in adaptive_windows(x.shape[1:3], size):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                y[c, i, j, n] = max(x[c, *cell, n] for cell in cells)
    return y


def adaptive_max_pool_backward(g, x):
    """g (C, OH, OW, N), x (C, H, W, N) -> dx (C, H, W, N): of equal ones the first in row order wins."""
    dx = np.zeros(x.shape)
    for i, j, cells in adaptive_windows(x.shape[1:3], g.shape[1:3]):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                best = cells[0]
                for cell in cells[1:]:
                    if x[c, *cell, n] > x[c, *best, n]:
                        best = cell
                dx[c, *best, n] += g[c, i, j, n]
    return dx


def channel_shuffle_forward(x, groups):
    """x (C, ..., N) -> y (C, ..., N)."""
    y, each = np.full(x.shape, np.nan), len(x) // groups
    for j in range(groups):
        for k in range(each):
            y[k * groups + j] = x[j * each + k]
    return y


def channel_shuffle_backward(g, groups):
    """g (C, ..., N) -> dx (C, ..., N)."""
    dx, each = np.full(g.shape, np.nan), len(g) // groups
    for j in range(groups):
        for k in range(each):
            dx[j * each + k] = g[k * groups + j]
    return dx


# --------------------------------------------------------------------------------------- borders of pixels


def _source(p, before, size, mode):
    """Line p of an axis with a border -> the line of the image that it is: "reflect" or "edge"."""
    p -= before
    if mode == "edge":
        return min(max(p, 0), size - 1)
    if p < 0:
        return -p
    return 2 * (size - 1) - p if p >= size else p


def border_pad_forward(x, padding, mode):
    """x (C, H, W, N), ((top, bottom), (left, right)), "reflect" or "edge" -> y with its border."""
    channels, height, width, samples = x.shape
    y = np.zeros((channels, height + sum(padding[0]), width + sum(padding[1]), samples))
    for c, p, q, n in np.ndindex(y.shape):
        row, column = _source(p, padding[0][0], height, mode), _source(q, padding[1][0], width, mode)
        y[c, p, q, n] = x[c, row, column, n]
    return y


def border_pad_backward(g, x, padding, mode):
    """g of the padded shape, x (C, H, W, N) -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for c, p, q, n in np.ndindex(g.shape):
        row = _source(p, padding[0][0], x.shape[1], mode)
        column = _source(q, padding[1][0], x.shape[2], mode)
        dx[c, row, column, n] += g[c, p, q, n]
    return dx


# -------------------------------------------------------------------------------------------- upsampling


def _sources(p, factor, length, interpolation, align_corners):
    """Pixel p of an axis made `factor` times as long -> pairs of a pixel of the axis and its share in p."""
    if interpolation == "nearest":
        return [(p // factor, 1.0)]
    if align_corners:  # the first and the last pixel stay where they were
        place = p * (length - 1) / (length * factor - 1) if length * factor > 1 else 0.0
    else:
        place = (p + 0.5) / factor - 0.5  # pixels' centres at halves
    before = math.floor(place)
    pairs = [(before, 1 - (place - before)), (before + 1, place - before)]
    return [(min(max(pixel, 0), length - 1), share) for pixel, share in pairs]


def _shares(image, size, interpolation, align_corners):
    """Yield (i, j, row, column, share): output (i, j) has that share of image cell (row, column)."""
    for i in range(image[0] * size[0]):
        for j in range(image[1] * size[1]):
            for row, high in _sources(i, size[0], image[0], interpolation, align_corners):
                for column, wide in _sources(j, size[1], image[1], interpolation, align_corners):
                    yield i, j, row, column, high * wide


def upsample_forward(x, size, interpolation, align_corners=False):
    """x (C, H, W, N), size (fh, fw), "nearest" or "bilinear" -> y (C, H fh, W fw, N)."""
    channels, height, width, samples = x.shape
    y = np.zeros((channels, height * size[0], width * size[1], samples))
    for i, j, row, column, share in _shares((height, width), size, interpolation, align_corners):
        for c in range(channels):
            for n in range(samples):
                y[c, i, j, n] += share * x[c, row, column, n]
    return y


def upsample_backward(g, x, size, interpolation, align_corners=False):
    """g (C, H fh, W fw, N), x (C, H, W, N), size (fh, fw), "nearest" or "bilinear" -> dx (C, H, W, N)."""
    dx = np.zeros(x.shape)
    for i, j, row, column, share in _shares(x.shape[1:3], size, interpolation, align_corners):
        for c in range(x.shape[0]):
            for n in range(x.shape[3]):
                dx[c, row, column, n] += share * g[c, i, j, n]
    return dx


def _moves(shape, block, mode):
    """Yield (channel, row, column, map, y, x): where a value of an image lies, and where it belongs."""
    maps = shape[0] // block**2
    for k, p, q in np.ndindex(shape):
        if mode == "CRD":
            c, i, j = k // block**2, k // block % block, k % block
        else:
            i, j, c = k // (block * maps), k // maps % block, k % maps
        yield k, p, q, c, p * block + i, q * block + j


def depth_to_space_forward(x, block, mode):
    """x (C b b, H, W, N), "CRD" or "DCR" -> y (C, H b, W b, N)."""
    y = np.full((x.shape[0] // block**2, x.shape[1] * block, x.shape[2] * block, x.shape[3]), np.nan)
    for k, p, q, c, row, column in _moves(x.shape[:3], block, mode):
        for n in range(x.shape[3]):
            y[c, row, column, n] = x[k, p, q, n]
    return y


def depth_to_space_backward(g, x, block, mode):
    """g (C, H b, W b, N), x (C b b, H, W, N), "CRD" or "DCR" -> dx (C b b, H, W, N)."""
    dx = np.zeros(x.shape)
    for k, p, q, c, row, column in _moves(x.shape[:3], block, mode):
        for n in range(x.shape[3]):
            dx[k, p, q, n] += g[c, row, column, n]
    return dx


# ----------------------------------------------------------------------------------- batch normalization


def _moments(x, c):
    """x (C, ..., N) -> mean and biased variance of channel c."""
    values = [float(value) for value in x[c].ravel()]
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / len(values)


def batch_norm_forward(x, gamma, beta, epsilon):
    """x (C, ..., N), gamma (C,), beta (C,) -> y (C, ..., N), mean (C,), variance (C,), the biased one."""
    y, means, variances = np.zeros(x.shape), np.zeros(len(x)), np.zeros(len(x))
    for c in range(len(x)):
        means[c], variances[c] = _moments(x, c)
    for index in np.ndindex(x.shape):
        c = index[0]
        y[index] = gamma[c] * (x[index] - means[c]) / math.sqrt(variances[c] + epsilon) + beta[c]
    return y, means, variances


def batch_norm_backward(g, x, gamma, epsilon):
    """g (C, ..., N), x, gamma (C,) -> dx (C, ..., N), dgamma (C,), dbeta (C,).

    By the chain rule, path by path: each y of a channel depends on each x of it, by mean and variance.
    """
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(len(x)), np.zeros(len(x))
    for c in range(len(x)):
        (mean, variance), count = _moments(x, c), x[c].size
        deviation = math.sqrt(variance + epsilon)
        dmean = dvariance = 0.0
        for index in np.ndindex(x[c].shape):
            away = x[c][index] - mean
            dgamma[c] += g[c][index] * away / deviation
            dbeta[c] += g[c][index]
            dmean -= g[c][index] * gamma[c] / deviation
            dvariance -= g[c][index] * gamma[c] * away / (2 * deviation**3)
        for index in np.ndindex(x[c].shape):
            through = g[c][index] * gamma[c] / deviation
            dx[c][index] = through + dmean / count + dvariance * 2 * (x[c][index] - mean) / count
    return dx, dgamma, dbeta


# ------------------------------------------------------------------------- group and layer normalization


def _parts(x, groups, over):
    """x (C, ..., N) -> lists of the places that are normalized together."""
    found = {}
    for index in np.ndindex(x.shape):
        c, *pixel, n = index
        key = {"group": (c * groups // len(x), n), "channels": (*pixel, n), "sample": n}[over]
        found.setdefault(key, []).append(index)
    return found.values()


def sample_norm_forward(x, gamma, beta, epsilon, groups=1, over="group"):
    """x (C, ..., N) -> y (C, ..., N): statistics of each sample over a group, its channels or all of it.

    gamma and beta are (C,), of "sample" (C, ...).
    """
    y = np.zeros(x.shape)
    for places in _parts(x, groups, over):
        mean = math.fsum(float(x[place]) for place in places) / len(places)
        variance = math.fsum((float(x[place]) - mean) ** 2 for place in places) / len(places)
        for place in places:
            own = place[: gamma.ndim]
            y[place] = gamma[own] * (x[place] - mean) / math.sqrt(variance + epsilon) + beta[own]
    return y


def sample_norm_backward(g, x, gamma, epsilon, groups=1, over="group"):
    """g (C, ..., N), x, gamma -> dx (C, ..., N), dgamma, dbeta.

    By the chain rule, path by path: each y of a part depends on each x of it, by mean and variance.
    """
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    for places in _parts(x, groups, over):
        count = len(places)
        mean = math.fsum(float(x[place]) for place in places) / count
        variance = math.fsum((float(x[place]) - mean) ** 2 for place in places) / count
        deviation = math.sqrt(variance + epsilon)
        dmean = dvariance = 0.0
        for place in places:
            own, away = place[: gamma.ndim], x[place] - mean
            dgamma[own] += g[place] * away / deviation
            dbeta[own] += g[place]
            dmean -= g[place] * gamma[own] / deviation
            dvariance -= g[place] * gamma[own] * away / (2 * deviation**3)
        for place in places:
            through = g[place] * gamma[place[: gamma.ndim]] / deviation
            dx[place] = through + dmean / count + dvariance * 2 * (x[place] - mean) / count
    return dx, dgamma, dbeta


# ------------------------------------------------------------------------------------------------- dense


def dense_forward(x, weights, biases):
    """x (inputs, N), weights (outputs, inputs), biases (outputs,) -> y (outputs, N)."""
    y = np.zeros((weights.shape[0], x.shape[1]))
    for o, n in np.ndindex(y.shape):
        y[o, n] = biases[o] + sum(weights[o, i] * x[i, n] for i in range(x.shape[0]))
    return y


def dense_backward(g, x, weights):
    """g (outputs, N), x (inputs, N), weights (outputs, inputs) -> dx, dweights, dbiases (outputs,)."""
    dx, dweights, dbiases = np.zeros(x.shape), np.zeros(weights.shape), np.zeros(weights.shape[0])
    for o, n in np.ndindex(g.shape):
        dbiases[o] += g[o, n]
        for i in range(x.shape[0]):
            dx[i, n] += g[o, n] * weights[o, i]
            dweights[o, i] += g[o, n] * x[i, n]
    return dx, dweights, dbiases


# ------------------------------------------------------------------------------------------- activations
# Each function takes one number to one number; `each` applies it to an array. At a kink the derivative is the
# one from the left, as in PyTorch.


def each(function, x, **options):
    """x of any shape -> array of the same shape, function applied to every number of it."""
    y = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        y[index] = function(float(x[index]), **options)
    return y


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def sigmoid_prime(x):
    return sigmoid(x) * sigmoid(-x)


def tanh(x):
    return math.tanh(x)


def tanh_prime(x):
    return 1 - math.tanh(x) ** 2


def relu(x):
    return max(x, 0.0)


def relu_prime(x):
    return 1.0 if x > 0 else 0.0


def leaky_relu(x, slope=0.01):
    return x if x > 0 else slope * x


def leaky_relu_prime(x, slope=0.01):
    return 1.0 if x > 0 else slope


def elu(x, alpha=1.0):
    return x if x > 0 else alpha * math.expm1(x)


def elu_prime(x, alpha=1.0):
    return 1.0 if x > 0 else alpha * math.exp(x)


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def softplus_prime(x):
    return sigmoid(x)


def gelu(x):
    return 0.5 * x * math.erfc(-x / math.sqrt(2))  # erfc(-z) is 1 + erf(z), without its cancellation


def gelu_prime(x):
    return 0.5 * math.erfc(-x / math.sqrt(2)) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_prime(x):
    inner = math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * slope


def silu(x):
    return x * sigmoid(x)


def silu_prime(x):
    return sigmoid(x) * (1 + x * sigmoid(-x))


def relu6(x):
    return min(max(x, 0.0), 6.0)


def relu6_prime(x):
    return 1.0 if 0 < x < 6 else 0.0


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_prime(x):
    return SELU_SCALE * elu_prime(x, SELU_ALPHA)


def hard_sigmoid(x):
    return min(max(x / 6 + 0.5, 0.0), 1.0)


def hard_sigmoid_prime(x):
    return 1 / 6 if -3 < x < 3 else 0.0


def softsign(x):
    return x / (1 + abs(x))


def softsign_prime(x):
    return 1 / (1 + abs(x)) ** 2


def mish(x):
    return x * math.tanh(softplus(x))


def mish_prime(x):
    return math.tanh(softplus(x)) + x * sigmoid(x) * (1 - math.tanh(softplus(x)) ** 2)


def hard_swish(x):
    return x * hard_sigmoid(x)


def hard_swish_prime(x):
    return hard_sigmoid(x) + x * hard_sigmoid_prime(x)


def softmax_forward(x):
    """x (classes, N) -> y (classes, N): every column positive, with sum 1."""
    y = np.zeros(x.shape)
    for n in range(x.shape[1]):
        top = max(x[k, n] for k in range(x.shape[0]))  # no overflow: the largest exponent is zero
        total = sum(math.exp(x[k, n] - top) for k in range(x.shape[0]))
        for k in range(x.shape[0]):
            y[k, n] = math.exp(x[k, n] - top) / total
    return y


def softmax_backward(g, x):
    """g (classes, N), x (classes, N) -> dx (classes, N), by the Jacobian dy_l/dx_k = y_l ([k = l] - y_k)."""
    y, dx = softmax_forward(x), np.zeros(x.shape)
    for k, n in np.ndindex(x.shape):
        dx[k, n] = sum(g[m, n] * y[m, n] * ((k == m) - y[k, n]) for m in range(x.shape[0]))
    return dx


def log_softmax_forward(x):
    """x (classes, N) -> y (classes, N): the logarithms of a softmax."""
    y = np.zeros(x.shape)
    for n in range(x.shape[1]):
        top = max(x[k, n] for k in range(x.shape[0]))
        total = math.fsum(math.exp(x[k, n] - top) for k in range(x.shape[0]))
        for k in range(x.shape[0]):
            y[k, n] = x[k, n] - top - math.log(total)
    return y


def log_softmax_backward(g, x):
    """g (classes, N), x (classes, N) -> dx (classes, N), by the Jacobian dy_l/dx_k = [k = l] - p_k."""
    p, dx = softmax_forward(x), np.zeros(x.shape)
    for k, n in np.ndindex(x.shape):
        dx[k, n] = math.fsum(g[m, n] * ((k == m) - p[k, n]) for m in range(x.shape[0]))
    return dx


# ------------------------------------------------------------------------------------------------ losses
# Arrays of one shape, (y_true, y_pred), to one number; a `_prime` to its gradient with respect to y_pred, of
# that shape. `_mean` is the mean of term(y, p) over all numbers, `_each` its gradient, given the term's. The
# two functions of logits apply the sigmoid or the softmax themselves. Nothing here guards against
# probabilities of exactly 0 or 1.


def _mean(term, y_true, y_pred):
    return sum(term(float(y_true[i]), float(y_pred[i])) for i in np.ndindex(y_pred.shape)) / y_pred.size


def _each(slope, y_true, y_pred):
    gradient = np.zeros(y_pred.shape)
    for i in np.ndindex(y_pred.shape):
        gradient[i] = slope(float(y_true[i]), float(y_pred[i])) / y_pred.size
    return gradient


def mse(y_true, y_pred):
    return _mean(lambda y, p: (p - y) ** 2, y_true, y_pred)


def mse_prime(y_true, y_pred):
    return _each(lambda y, p: 2 * (p - y), y_true, y_pred)


def mean_absolute_error(y_true, y_pred):
    return _mean(lambda y, p: abs(p - y), y_true, y_pred)


def mean_absolute_error_prime(y_true, y_pred):
    return _each(lambda y, p: (p > y) - (p < y), y_true, y_pred)


def huber(y_true, y_pred, delta=1.0):
    def term(y, p):
        return 0.5 * (p - y) ** 2 if abs(p - y) <= delta else delta * (abs(p - y) - 0.5 * delta)

    return _mean(term, y_true, y_pred)


def huber_prime(y_true, y_pred, delta=1.0):
    return _each(lambda y, p: max(-delta, min(delta, p - y)), y_true, y_pred)


def binary_cross_entropy(y_true, y_pred):
    return _mean(lambda y, p: -y * math.log(p) - (1 - y) * math.log(1 - p), y_true, y_pred)


def binary_cross_entropy_prime(y_true, y_pred):
    return _each(lambda y, p: (1 - y) / (1 - p) - y / p, y_true, y_pred)


def sigmoid_binary_cross_entropy(y_true, logits):
    return _mean(lambda y, z: y * softplus(-z) + (1 - y) * softplus(z), y_true, logits)


def sigmoid_binary_cross_entropy_prime(y_true, logits):
    return _each(lambda y, z: (1 - y) * sigmoid(z) - y * sigmoid(-z), y_true, logits)


def categorical_cross_entropy(y_true, y_pred):
    """y_true (classes, N), probabilities y_pred (classes, N) -> mean over N of minus the sum of y log p."""
    return sum(-y_true[i] * math.log(y_pred[i]) for i in np.ndindex(y_pred.shape)) / y_pred.shape[1]


def categorical_cross_entropy_prime(y_true, y_pred):
    gradient = np.zeros(y_pred.shape)
    for i in np.ndindex(y_pred.shape):
        gradient[i] = -y_true[i] / y_pred[i] / y_pred.shape[1]
    return gradient


def softmax_cross_entropy(y_true, logits):
    """y_true (classes, N), logits (classes, N) -> mean over N of minus the sum of y log softmax(logits)."""
    (classes, samples), total = logits.shape, 0.0
    for n in range(samples):
        top = max(logits[k, n] for k in range(classes))
        log_sum = top + math.log(sum(math.exp(logits[k, n] - top) for k in range(classes)))
        total += sum(y_true[k, n] * (log_sum - logits[k, n]) for k in range(classes))
    return total / samples


def softmax_cross_entropy_prime(y_true, logits):
    probabilities, gradient = softmax_forward(logits), np.zeros(logits.shape)
    for k, n in np.ndindex(logits.shape):
        weight = sum(y_true[m, n] for m in range(logits.shape[0]))  # 1 where the targets are probabilities
        gradient[k, n] = (weight * probabilities[k, n] - y_true[k, n]) / logits.shape[1]
    return gradient


def log_cosh(y_true, y_pred):
    return _mean(lambda y, p: math.log(math.cosh(p - y)), y_true, y_pred)


def log_cosh_prime(y_true, y_pred):
    return _each(lambda y, p: math.sinh(p - y) / math.cosh(p - y), y_true, y_pred)


def hinge(y_true, y_pred):
    return _mean(lambda y, p: max(0.0, 1 - p if y > 0 else 1 + p), y_true, y_pred)


def hinge_prime(y_true, y_pred):
    def slope(y, p):
        if y > 0:
            return -1.0 if p < 1 else 0.0
        return 1.0 if p > -1 else 0.0

    return _each(slope, y_true, y_pred)


def kl_divergence(y_true, y_pred):
    """y_true (classes, N), probabilities y_pred (classes, N) -> mean over N of the sum of y log(y / p)."""
    total = sum(y_true[i] * math.log(y_true[i] / y_pred[i]) for i in np.ndindex(y_pred.shape) if y_true[i])
    return total / y_pred.shape[1]


def kl_divergence_prime(y_true, y_pred):
    return categorical_cross_entropy_prime(y_true, y_pred)


def categorical_focal_cross_entropy(y_true, y_pred, gamma=2.0):
    """y_true and probabilities y_pred (classes, N) -> mean over N of -sum of y (1 - p)^gamma log p."""
    total = 0.0
    for i in np.ndindex(y_pred.shape):
        total -= y_true[i] * (1 - y_pred[i]) ** gamma * math.log(y_pred[i])
    return total / y_pred.shape[1]


def categorical_focal_cross_entropy_prime(y_true, y_pred, gamma=2.0):
    slope = np.zeros(y_pred.shape)
    for i in np.ndindex(y_pred.shape):
        p = y_pred[i]
        slope[i] = y_true[i] * (gamma * (1 - p) ** (gamma - 1) * math.log(p) - (1 - p) ** gamma / p)
    return slope / y_pred.shape[1]


def binary_focal_cross_entropy(y_true, y_pred, gamma=2.0):
    def term(y, p):
        return -y * (1 - p) ** gamma * math.log(p) - (1 - y) * p**gamma * math.log(1 - p)

    return _mean(term, y_true, y_pred)


def binary_focal_cross_entropy_prime(y_true, y_pred, gamma=2.0):
    def slope(y, p):
        yes = gamma * (1 - p) ** (gamma - 1) * math.log(p) - (1 - p) ** gamma / p
        no = p**gamma / (1 - p) - gamma * p ** (gamma - 1) * math.log(1 - p)
        return y * yes + (1 - y) * no

    return _each(slope, y_true, y_pred)


# -------------------------------------------------------------------------------------------- optimizers
# parameters and gradients: dicts of arrays under the same names; parameters change in place. state: a dict,
# empty before the first step, that the caller keeps from step to step.


def prepared(parameters, gradients, weight_decay, clip_norm):
    """g <- g clip_norm / (|g| + 1e-6) where |g|, over all, is larger; then g <- g + weight_decay p."""
    norm = math.sqrt(sum(float(g[i]) ** 2 for g in gradients.values() for i in np.ndindex(g.shape)))
    factor = 1.0 if clip_norm is None else min(1.0, clip_norm / (norm + 1e-6))
    return {name: factor * gradients[name] + weight_decay * p for name, p in parameters.items()}


def sgd(
    parameters,
    gradients,
    state,
    learning_rate,
    momentum=0.0,
    nesterov=False,
    weight_decay=0.0,
    clip_norm=None,
):
    """p <- p - learning_rate v, where v <- momentum v + g; Nesterov: p <- p - learning_rate (g + momentum v).

    (No dampening; the rate is outside v.)
    """
    gradients = prepared(parameters, gradients, weight_decay, clip_norm)
    for name, p in parameters.items():
        v = state.setdefault(name, np.zeros(p.shape))
        for i in np.ndindex(p.shape):
            g = gradients[name][i]
            v[i] = momentum * v[i] + g
            p[i] -= learning_rate * (g + momentum * v[i] if nesterov else v[i])


def adagrad(
    parameters,
    gradients,
    state,
    learning_rate=0.01,
    initial_accumulator_value=0.0,
    epsilon=1e-10,
    weight_decay=0.0,
    clip_norm=None,
):
    """p <- p - learning_rate g / (sqrt(s) + epsilon), where s <- s + g^2."""
    gradients = prepared(parameters, gradients, weight_decay, clip_norm)
    for name, p in parameters.items():
        s = state.setdefault(name, np.full(p.shape, initial_accumulator_value))
        for i in np.ndindex(p.shape):
            g = gradients[name][i]
            s[i] += g * g
            p[i] -= learning_rate * g / (math.sqrt(s[i]) + epsilon)


def rmsprop(
    parameters,
    gradients,
    state,
    learning_rate=0.01,
    alpha=0.99,
    epsilon=1e-8,
    momentum=0.0,
    centered=False,
    weight_decay=0.0,
    clip_norm=None,
):
    """p <- p - learning_rate v, where v <- momentum v + g / (sqrt(s) + epsilon).

    s <- alpha s + (1 - alpha) g^2, less the square of the likewise mean of g where centered.
    """
    gradients = prepared(parameters, gradients, weight_decay, clip_norm)
    for name, p in parameters.items():
        s, m, v = state.setdefault(name, tuple(np.zeros(p.shape) for _ in range(3)))
        for i in np.ndindex(p.shape):
            g = gradients[name][i]
            s[i] = alpha * s[i] + (1 - alpha) * g * g
            m[i] = alpha * m[i] + (1 - alpha) * g
            v[i] = momentum * v[i] + g / (math.sqrt(s[i] - centered * m[i] ** 2) + epsilon)
            p[i] -= learning_rate * v[i]


def adamw(parameters, gradients, state, learning_rate=0.001, weight_decay=0.01, **options):
    """p <- (1 - learning_rate weight_decay) p, then Adam's step without decay."""
    for p in parameters.values():
        for i in np.ndindex(p.shape):
            p[i] *= 1 - learning_rate * weight_decay
    adam(parameters, gradients, state, learning_rate, **options)


def adam(
    parameters,
    gradients,
    state,
    learning_rate=0.001,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    weight_decay=0.0,
    clip_norm=None,
):
    """p <- p - learning_rate m' / (sqrt(v') + epsilon), m' and v' the moments corrected for starting at 0."""
    gradients = prepared(parameters, gradients, weight_decay, clip_norm)
    state["step"] = t = state.get("step", 0) + 1
    for name, p in parameters.items():
        m, v = state.setdefault(name, (np.zeros(p.shape), np.zeros(p.shape)))
        for i in np.ndindex(p.shape):
            g = gradients[name][i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            corrected_m, corrected_v = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            p[i] -= learning_rate * corrected_m / (math.sqrt(corrected_v) + epsilon)
