"""A user's program: estimators among scikit-learn's tools."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

from purecnn import CNNClassifier, CNNRegressor, Dense, Flatten, Network, ReLU, Softmax
from purecnn.datasets import mnist
from purecnn.optimizers.schedules import OneCycle


def layers() -> list[Any]:
    return [Flatten(), Dense(output_size=16), ReLU(), Dense(output_size=10), Softmax()]


def main() -> None:
    (x, y), (x_test, y_test) = mnist.load_data()
    x, y, x_test, y_test = x[:500], y[:500], x_test[:100], y_test[:100]

    model = CNNClassifier(
        layers(),
        epochs=3,
        batch_size=64,
        learning_rate=OneCycle(0.01),
        class_weight="balanced",
        random_state=0,
    )
    assert_type(model.fit(x, y, sample_weight=np.ones(500)), CNNClassifier)
    assert_type(model.predict(x_test), npt.NDArray[Any])
    assert_type(model.predict_proba(x_test), npt.NDArray[Any])
    assert_type(model.score(x_test, y_test), float)
    assert_type(model.classes_, npt.NDArray[Any])
    assert_type(model.network_, Network)
    assert_type(model.get_params(), dict[str, Any])
    assert_type(model.set_params(learning_rate=0.01, class_weight=None), CNNClassifier)
    assert_type(model.partial_fit(x, y), CNNClassifier)

    flat = CNNClassifier(input_shape=(28, 28), network="lenet", epochs=1, early_stopping=True, random_state=0)
    names = np.array([f"digit {digit}" for digit in range(10)])
    print(flat.fit(x.reshape(500, -1), names[y]).predict(x_test.reshape(100, -1))[:5])

    regressor = CNNRegressor(epochs=1, random_state=0)
    assert_type(regressor.fit(x, y.astype(np.float32)), CNNRegressor)
    assert_type(regressor.predict(x_test), npt.NDArray[Any])
    assert_type(regressor.score(x_test, y_test), float)


if __name__ == "__main__":
    main()
