"""Ten digits without a convolution: two dense layers learn the first 1,000 images, one image at a time."""

import argparse

import numpy as np

from purecnn import Dense, Tanh, predict, train
from purecnn.datasets.mnist import load_data
from purecnn.losses import mse, mse_prime

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=100)
arguments = parser.parse_args()

(x_train, y_train), (x_test, y_test) = load_data()
columns = np.divide(x_train[:1000].reshape(-1, 784, 1), 255, dtype=np.float32)
one_hot = np.eye(10)[y_train[:1000]][:, :, np.newaxis]

network = [Dense(28 * 28, 40), Tanh(), Dense(40, 10), Tanh()]
train(network, mse, mse_prime, columns, one_hot, epochs=arguments.epochs, learning_rate=0.1)

test = np.divide(x_test.reshape(-1, 784, 1), 255, dtype=np.float32)
answers = np.array([np.argmax(predict(network, x)) for x in test])
for answer, y in zip(answers[:20], y_test[:20], strict=True):
    print(f"pred: {answer}, true: {y}")
print(f"accuracy: {np.mean(answers == y_test):.1%} of {len(y_test)} test images")
