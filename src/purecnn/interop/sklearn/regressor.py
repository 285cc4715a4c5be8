"""`CNNRegressor`, a scikit-learn regressor.

A network as a scikit-learn regressor: numbers out, one or several a sample.
"""

from __future__ import annotations

from typing import Any, Self

from purecnn.backend.overflow import without_warnings
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.interop.sklearn.base import Estimator
from purecnn.interop.sklearn.bases import RegressorMixin, sklearn
from purecnn.layers.base import Layer
from purecnn.losses.base import Loss
from purecnn.losses.tasks import Task
from purecnn.messages.signatures import explained_class
from purecnn.metrics.target_scaling import TargetScaling
from purecnn.networks.network import Network


@explained_class
class CNNRegressor(RegressorMixin, Estimator):
    """A convolutional network as a scikit-learn regressor.

    It learns the answers less their mean and over their standard deviation, so that neither their unit nor
    the first parameters decide whether it learns; scikit-learn's `MLPRegressor` takes them as they are.

    Parameters
    ----------
    network : str, sequence of Layer or callable
        As for `CNNClassifier`. A named network ends in its last dense layer.
    loss : str or Loss, optional
        One of `losses.LOSSES` that takes values, such as "huber", measured on the answers as they are
        learnt; left out, "mse".
    **others
        As for `CNNClassifier`, which has `class_weight` besides. With `early_stopping` it is the loss on the
        samples set aside that must improve, by `tol`; as "mse" it is about 1 less R2.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray
        What was taken off the answers and what they were divided by, one number or one an output.
    network_, history_, loss_curve_, n_iter_, n_features_in_, feature_names_in_
        As of `CNNClassifier`. The network itself answers in the scale that it learnt.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.

    Notes
    -----
    `score`, which is R2, `get_params`, `set_params` and all else that an estimator has are scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> regressor = CNNRegressor(random_state=0).fit(x, 1000 + x[:, 0] ** 2)
    >>> bool(regressor.score(x, 1000 + x[:, 0] ** 2) > 0.9)
    True
    """

    target_mean_: Array
    target_scale_: Array

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _more_tags(self) -> dict[str, bool]:  # scikit-learn 1.5
        return {"multioutput": True}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from samples and their values.

        Parameters
        ----------
        X : array_like or DataFrame
            Rows ``(n, values)`` or images, ``(n, height, width)`` or ``(n, channels, height, width)``, of
            finite numbers.
        y : array_like
            ``(n,)``, or ``(n, outputs)`` for several numbers a sample.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, at least 0; one of 0 has no part in the training.

        Returns
        -------
        CNNRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError, ShapeError
            For data that the network can't learn from, in one sentence.
        DivergedError
            If the loss is no longer finite.
        """
        return self.run(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go over some samples once, from where the network is.

        Parameters
        ----------
        X, y, sample_weight : array_like
            As `fit` takes them. Mean and scale of the answers are those of the first call.

        Returns
        -------
        CNNRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError, ShapeError, DivergedError
            As `fit`, and with `early_stopping` or a schedule as `learning_rate`.
        """
        return self.run(X, y, sample_weight, once=True)

    def predict(self, X: Any) -> Array:
        """Return each sample's values, in the shape of the answers that were learnt.

        Parameters
        ----------
        X : array_like or DataFrame
            Samples as `fit` takes them; images also as flat rows.

        Returns
        -------
        ndarray
            ``(n,)`` or ``(n, outputs)``.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        """
        outputs = self.ask(X)
        found: Array = outputs * self.target_scale_ + self.target_mean_
        return found if self.target_scale_.ndim else found[:, 0]

    # What it learns ---------------------------------------------------------------------------------------

    @without_warnings
    def teach(
        self, y: Any, anew: bool, sample_weight: Array | None, classes: Any = None
    ) -> tuple[Array, int, dict[str, Any]]:
        """Return the answers with mean 0 and variance 1, ``(n, outputs)``; how many; their mean and scale."""
        y = sklearn("utils.validation").check_array(y, ensure_2d=False, estimator=self, input_name="y")
        if anew:
            scaling = TargetScaling.of(y, sample_weight)
        else:
            scaling = TargetScaling(self.target_mean_, self.target_scale_)
            if y.shape[1:] != scaling.scale.shape:
                wanted = (len(y), *scaling.scale.shape)
                raise ShapeError(f"y must have shape {wanted}, as in the first call, got {y.shape}")
        targets = scaling.apply(y).reshape(len(y), -1)
        return targets, targets.shape[1], {"target_mean_": scaling.mean, "target_scale_": scaling.scale}

    def loss_for(self, network: Network, targets: Array) -> str | Loss | None:
        """Return the loss asked for, or the mean squared error."""
        return super().loss_for(network, targets) or "mse"

    def task_of(self, targets: Array) -> Task:
        """Return that of values, whatever they are."""
        return "regression"

    def head(self, targets: Array) -> list[Layer]:
        """Return nothing: the last dense layer's outputs are any numbers."""
        return []
