# %% [markdown]
# # From XOR to ten digits
#
# The experiments of the program that `purecnn` grew from, in its order: a network of nine weights learns
# XOR, a dense one reads digits, a convolutional one tells zeros from ones, and a modern one reads all ten.
# Each layer comes with its mathematics, and with the very lines of NumPy that compute it.
#
# Two conventions for all that follows. A sample is a **column**, so a batch is a matrix with a column for
# each sample: the batch is the last axis. And $E$ is the error that training lowers; of each array $A$ the
# derivative $\partial E / \partial A$ has the shape of $A$.
#
# To run it: `pip install 'purecnn[report]' jupyter`. Charts are interactive where the notebook runs; where
# it is only shown, they are pictures.

# %%
import inspect
import os

import numpy as np
from IPython.display import Code

from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
    check_gradients,
    plots,
    predict,
    trace,
    train,
)
from purecnn.datasets import mnist
from purecnn.kernels import reference
from purecnn.losses import binary_cross_entropy, binary_cross_entropy_prime, mse, mse_prime
from purecnn.metrics import class_table

#: The tests run every cell, with few images and epochs.
FEW = "PURECNN_FEW" in os.environ


def code(*functions):
    """Show the source of functions."""
    sources = (inspect.getsource(function).rstrip() for function in functions)
    return Code("\n\n".join(sources), language="python")


# %% [markdown]
# ## 1. A dense layer
#
# Each of its outputs is a weighted sum of all inputs, and a bias. With a column $x$ for each sample:
#
# $$ Y = W X + b $$
#
# To learn, it must answer two questions about the error's derivative $G = \partial E/\partial Y$ that comes
# back to it. How does the error change with its own numbers? By the chain rule, summed over the batch,
#
# $$ \frac{\partial E}{\partial W} = G X^\top \qquad \frac{\partial E}{\partial b} = \sum_n G_{:,n} $$
#
# And how does it change with its input, which is the output of the layer before?
#
# $$ \frac{\partial E}{\partial X} = W^\top G $$
#
# That is all of backpropagation: each layer hands the second answer on. The code is the same four lines:

# %%
code(reference.dense_forward, reference.dense_backward)

# %% [markdown]
# ## 2. An activation
#
# Two dense layers in a row are one dense layer, since a product of matrices is a matrix. Something that is
# not linear must stand between them. The original uses the hyperbolic tangent, value by value:
#
# $$ y = \tanh x \qquad \frac{\partial E}{\partial x} = g \, (1 - y^2) $$

# %%
code(Tanh.forward, Tanh.backward)

# %% [markdown]
# ## 3. A loss
#
# How wrong the answers $p$ are beside the true ones $y$, as one number, and its derivative, where the way
# back begins:
#
# $$ E = \frac{1}{n} \sum_i (p_i - y_i)^2 \qquad \frac{\partial E}{\partial p_i} = \frac{2}{n} (p_i - y_i) $$

# %%
code(mse, mse_prime)

# %% [markdown]
# ## 4. XOR
#
# The smallest problem that one straight line can't solve. `train` is the original's loop: one sample at a
# time, forward, backward, and a step down the slope, $W \leftarrow W - \eta \, \partial E / \partial W$.

# %%
X = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1))
Y = np.reshape([[0], [1], [1], [0]], (4, 1, 1))

network = [Dense(2, 3), Tanh(), Dense(3, 1), Tanh()]

stages = plots.Stages(network, limits=((-0.25, 1.25), (-0.25, 1.25)), resolution=31)
stages.take()
done = 0
for end in (20, 80, 100, 120, 150, 300, 500 if FEW else 5000):
    errors = train(network, mse, mse_prime, X, Y, epochs=end - done, learning_rate=0.1, verbose=False)
    done = end
    stages.take()

for x, y in zip(X, Y, strict=True):
    print(f"{x[0, 0]} xor {x[1, 0]}: {predict(network, x)[0, 0]:+.3f}, true: {y[0, 0]}")

# %% [markdown]
# With two inputs one can see the whole network: its answer to every point of the plane. The slider goes
# through the training, from a flat sheet to a valley between two hills. The line on it, and its shadow on
# the floor, is the decision boundary.

# %%
plots.decision_boundary(stages, X, Y, title="XOR, learnt by three hidden neurons")

# %% [markdown]
# ### Are the derivatives right?
#
# The definition of a derivative is a check that needs no calculus: move one number a little both ways, and
# see how the error moves, $(E(w + h) - E(w - h)) / 2h$. `check_gradients` does so for every array of a
# network.

# %%
print(check_gradients([Dense(2, 3), Tanh(), Dense(3, 1), Tanh()], input_shape=(2,), loss="mse"))

# %% [markdown]
# ## 5. Ten digits without a convolution
#
# The same two kinds of layers read handwriting: 784 pixels in, 40 hidden neurons, 10 answers, the largest
# of which counts. As in the original, on the first 1,000 images of MNIST, one image at a time.

# %%
(x_train, y_train), (x_test, y_test) = mnist.load_data()
columns = np.divide(x_train[:1000].reshape(-1, 784, 1), 255, dtype=np.float32)
one_hot = np.eye(10)[y_train[:1000]][:, :, np.newaxis]

network = [Dense(28 * 28, 40), Tanh(), Dense(40, 10), Tanh()]
train(network, mse, mse_prime, columns, one_hot, epochs=3 if FEW else 30, learning_rate=0.1, verbose=False)

others = np.divide(x_test.reshape(-1, 784), 255, dtype=np.float32)
right = [predict(network, image).argmax() == y for image, y in zip(others, y_test, strict=True)]
print(f"{np.mean(right):.1%} of 10,000 test images are read rightly")

# %% [markdown]
# Each row of the first layer's weights is as large as an image, and can be looked at as one. They look like
# noise: the network has no idea that pixels have neighbours.

# %%
shown = Network([Flatten(), *network], input_shape=(1, 28, 28))
plots.kernels(shown, title="What the first 40 neurons look for")

# %% [markdown]
# ## 6. A convolution
#
# It has that idea built in. A small kernel looks at every place of the image, with the same weights
# everywhere:
#
# $$ y_{m,p,q} = b_m + \sum_{c,i,j} k_{m,c,i,j} \; x_{c,\,p+i,\,q+j} $$
#
# Backward, each weight gathers what all places say of it, and each pixel what all windows that saw it say:
#
# $$ \frac{\partial E}{\partial k_{m,c,i,j}} = \sum_{p,q} g_{m,p,q} \, x_{c,\,p+i,\,q+j} \qquad
#    \frac{\partial E}{\partial x_{c,\,u,\,v}} = \sum_{m,i,j} k_{m,c,i,j} \; g_{m,\,u-i,\,v-j} $$
#
# For each cell $(i, j)$ of the window that is one product of matrices, forward and backward:

# %%
code(reference.conv2d_forward, reference.conv2d_backward)

# %% [markdown]
# `trace` keeps all that passes through a network, and tells of each number what it was made of. Here is one
# cell of one feature map: the window that it saw, the kernel, the products and their sum.

# %%
small = Network([Convolutional((1, 28, 28), 3, 5), Sigmoid()])
cell = trace(small, x_test[:1]).cell(0, 2, 7, 8)
print(cell)
for name, values in (("window", cell.window[0]), ("kernel", cell.weights[0]), ("products", cell.products[0])):
    print(name, np.array2string(values, precision=2, suppress_small=True), sep="\n")

# %% [markdown]
# ## 7. Zeros and ones
#
# The network of the original's readme, in its own words: a convolution, sigmoids, two dense layers, and the
# binary cross-entropy
#
# $$ E = -\frac{1}{n} \sum_i y_i \log p_i + (1 - y_i) \log (1 - p_i) $$

# %%
limit = 30 if FEW else 100
zeros_and_ones, their_labels = mnist.preprocess_data(x_train, y_train, limit)
others, their_truth = mnist.preprocess_data(x_test, y_test, 100)

network = [
    Convolutional((1, 28, 28), 3, 5),
    Sigmoid(),
    Reshape((5, 26, 26), (5 * 26 * 26, 1)),
    Dense(5 * 26 * 26, 100),
    Sigmoid(),
    Dense(100, 2),
    Sigmoid(),
]
train(
    network,
    binary_cross_entropy,
    binary_cross_entropy_prime,
    zeros_and_ones,
    their_labels,
    epochs=4 if FEW else 20,
    learning_rate=0.1,
    verbose=False,
)
right = [predict(network, x).argmax() == y.argmax() for x, y in zip(others, their_truth, strict=True)]
print(f"{np.mean(right):.1%} of {len(right)} other zeros and ones are told apart")

# %% [markdown]
# Here is what its five kernels make of a zero.

# %%
plots.feature_maps(network, others[their_truth[:, 0, 0] == 1][0], layer=1)

# %% [markdown]
# ## 8. All ten
#
# Three more ideas make it a network of today. A **ReLU** in place of the sigmoid, $y = \max(0, x)$, whose
# slope does not fade. A **max pooling**, which keeps the largest value of each window of 2 x 2, so that an
# exact place matters less. And a **softmax**, which makes probabilities of ten scores, with the
# cross-entropy as its loss:
#
# $$ p_i = \frac{e^{s_i}}{\sum_j e^{s_j}} \qquad E = -\log p_{\text{true}} \qquad
#    \frac{\partial E}{\partial s_i} = p_i - y_i $$
#
# `Network.fit` trains it by mini-batches, on all cores.

# %%
network = Network(
    [
        *(Convolutional(kernel_size=5, depth=8), ReLU(), MaxPooling(2)),
        *(Convolutional(kernel_size=5, depth=16), ReLU(), MaxPooling(2)),
        *(Flatten(), Dense(output_size=10), Softmax()),
    ],
    input_shape=(1, 28, 28),
)
network

# %%
images = 2000 if FEW else 60_000
history = network.fit(
    x_train[:images],
    y_train[:images],
    epochs=2 if FEW else 5,
    learning_rate=0.003,
    metrics=["accuracy"],
    validation_data=(x_test[:2000], y_test[:2000]),
)
history

# %%
plots.history(history, title="Five epochs of MNIST")

# %% [markdown]
# The first kernels have become detectors of edges and strokes, and the maps show where they find them.

# %%
plots.kernels(network)

# %%
plots.feature_maps(network, x_test[:1])

# %% [markdown]
# ### What it confuses, and how sure it is

# %%
probabilities = network.predict(x_test)
plots.confusion_matrix(y_test, probabilities)

# %%
class_table(y_test, probabilities)

# %%
plots.calibration(y_test, probabilities)

# %%
plots.mistakes(network, x_test, y_test, count=12)

# %% [markdown]
# ### Why it says so
#
# The derivative of the winning score by each pixel says which pixels matter, and Grad-CAM weighs the maps
# of the last convolution by what they add to the score.

# %%
plots.saliency(network, x_test[:5])

# %%
plots.grad_cam(network, x_test[:5])

# %% [markdown]
# ### What it keeps apart
#
# What enters the last dense layer are 256 numbers an image. In two dimensions, near ones near each other:

# %%
plots.embedding(network, x_test[:400], y_test[:400], method="tsne")

# %% [markdown]
# ## Where to go from here
#
# - `purecnn train` does all this at the command line, and writes one page with these charts, as does
#   `purecnn report RUN` of an earlier run.
# - `examples/moons.py` draws the decision boundary of another problem with two inputs.
# - `docs/architecture.md` says in which order to read it.
