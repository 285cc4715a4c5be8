"""The naive twins: every formula of the package once more, as plain loops over single numbers.

They are the oracle of the fast code, so they are written to be obviously correct, never to be fast, and they
import nothing from the package. `test_loops.py` holds them in turn to PyTorch's numbers and to answers worked
by hand. The batch is the last axis everywhere: images are (C, H, W, N), vectors (features, N), all float64.

Letters: C channels in, M channels out, (H, W) an image, (KH, KW) a kernel, (PH, PW) a pooling window,
(OH, OW) an output image, N samples.
"""

import math

import numpy as np

# ------------------------------------------------------------------------------------------- convolution


def _taps(image, window, stride, padding=((0, 0), (0, 0))):
    """Yield (i, j, a, b, row, column): output (i, j) sees image cell (row, column) by kernel cell (a, b).

    Cells in the padding are left out: they hold zeros, which add nothing.
    """
    (height, width), (kh, kw), (sh, sw), ((top, bottom), (left, right)) = image, window, stride, padding
    for i in range((top + height + bottom - kh) // sh + 1):
        for j in range((left + width + right - kw) // sw + 1):
            for a in range(kh):
                for b in range(kw):
                    row, column = i * sh + a - top, j * sw + b - left
                    if 0 <= row < height and 0 <= column < width:
                        yield i, j, a, b, row, column


def conv2d_forward(x, kernels, biases, stride, padding):
    """x (C, H, W, N), kernels (M, C, KH, KW), biases None, (M,) or (M, OH, OW) -> y (M, OH, OW, N).

    Cross-correlation; stride (sh, sw); padding ((top, bottom), (left, right)) of zeros.
    """
    (channels, height, width, samples), (depth, _, kh, kw) = x.shape, kernels.shape
    (top, bottom), (left, right) = padding
    oh = (top + height + bottom - kh) // stride[0] + 1
    ow = (left + width + right - kw) // stride[1] + 1
    y = np.zeros((depth, oh, ow, samples))
    for i, j, a, b, row, column in _taps((height, width), (kh, kw), stride, padding):
        for m in range(depth):
            for c in range(channels):
                for n in range(samples):
                    y[m, i, j, n] += kernels[m, c, a, b] * x[c, row, column, n]
    if biases is not None:
        for m, i, j, n in np.ndindex(y.shape):
            y[m, i, j, n] += biases[m] if biases.ndim == 1 else biases[m, i, j]
    return y


def conv2d_backward(g, x, kernels, stride, padding):
    """g (M, OH, OW, N), x (C, H, W, N), kernels (M, C, KH, KW) -> dx, dkernels, dbiases, per position.

    dx and dkernels have the shapes of x and kernels, dbiases is (M,); the last is the gradient of biases per
    output position, (M, OH, OW).
    """
    (channels, height, width, samples), (depth, _, kh, kw) = x.shape, kernels.shape
    dx, dkernels = np.zeros(x.shape), np.zeros(kernels.shape)
    dbiases, dbiases_per_position = np.zeros(depth), np.zeros(g.shape[:3])
    for i, j, a, b, row, column in _taps((height, width), (kh, kw), stride, padding):
        for m in range(depth):
            for c in range(channels):
                for n in range(samples):
                    dx[c, row, column, n] += g[m, i, j, n] * kernels[m, c, a, b]
                    dkernels[m, c, a, b] += g[m, i, j, n] * x[c, row, column, n]
    for m, i, j, n in np.ndindex(g.shape):
        dbiases[m] += g[m, i, j, n]
        dbiases_per_position[m, i, j] += g[m, i, j, n]
    return dx, dkernels, dbiases, dbiases_per_position


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


# -------------------------------------------------------------------------------------------- optimizers
# parameters and gradients: dicts of arrays under the same names; parameters change in place. state: a dict,
# empty before the first step, that the caller keeps from step to step.


def sgd(parameters, gradients, state, learning_rate, momentum=0.0):
    """p <- p - learning_rate v, where v <- momentum v + g. (No dampening; the rate is outside v.)"""
    for name, p in parameters.items():
        v = state.setdefault(name, np.zeros(p.shape))
        for i in np.ndindex(p.shape):
            v[i] = momentum * v[i] + gradients[name][i]
            p[i] -= learning_rate * v[i]


def adam(parameters, gradients, state, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """p <- p - learning_rate m' / (sqrt(v') + epsilon), m' and v' the moments corrected for starting at 0."""
    state["step"] = t = state.get("step", 0) + 1
    for name, p in parameters.items():
        m, v = state.setdefault(name, (np.zeros(p.shape), np.zeros(p.shape)))
        for i in np.ndindex(p.shape):
            g = gradients[name][i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            corrected_m, corrected_v = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            p[i] -= learning_rate * corrected_m / (math.sqrt(corrected_v) + epsilon)
