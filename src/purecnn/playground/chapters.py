"""Which page of the documents explains each kind of layer and each part of the page: what it leads to."""

from __future__ import annotations

import re

#: Kinds of layers by the page that explains them, and the section of it.
EXPLAINED = {
    "course/neuron.html#many-neurons-are-a-matrix": ("Dense",),
    "course/neuron.html#why-it-must-bend": ("ReLU", "Sigmoid"),
    "course/convolution.html": ("Convolutional",),
    "course/pooling.html": ("AveragePooling", "MaxPooling"),
    "course/pooling.html#a-convolutional-network": ("Flatten",),
    "course/pooling.html#exercises": ("GlobalAveragePooling",),
    "course/cross-entropy.html": ("Softmax",),
    "course/overfitting.html#make-it-harder-to-learn-by-heart": ("Dropout",),
    "course/batch-normalization.html": ("BatchNormalization",),
    "course/batch-normalization.html#a-bad-start-mended": ("GroupNormalization", "LayerNormalization"),
    "course/residuals.html": ("Residual",),
    "course/residuals.html#branches": ("Branches",),
}
#: Kinds that the course does not tell of, by the page of the reference that does.
LISTED = {
    "reference/activations.html": (
        "ELU GELU HardSigmoid HardSwish Identity LeakyReLU LogSoftmax Mish PReLU ReLU6 SELU SiLU Softplus "
        "Softsign Tanh"
    ),
    "reference/layers.html": (
        "AdaptiveAveragePooling AdaptiveMaxPooling AveragePooling1D ChannelShuffle Convolutional1D Cropping "
        "DepthToSpace DepthwiseConvolutional DepthwiseConvolutional1D GaussianNoise GlobalAveragePooling1D "
        "GlobalMaxPooling GlobalMaxPooling1D MaxPooling1D ReflectionPadding ReplicationPadding Reshape "
        "SeparableConvolutional SpatialDropout StochasticDepth TransposedConvolutional UpSampling "
        "ZeroPadding ZeroPadding1D"
    ),
}
#: Parts of the page by the page that explains them.
PARTS = {
    "course": "course/index.html",
    "curve": "course/overfitting.html#what-it-looks-like",
    "settings": "course/optimizers.html",
    "neurons": "course/neuron.html#many-neurons-are-a-matrix",
    "parameters": "course/gradient.html#many-parameters-the-gradient",
    "chain": "course/backpropagation.html",
}
#: The page of every kind of layer, below the documents' address.
CHAPTERS = {kind: page for page, kinds in EXPLAINED.items() for kind in kinds} | {
    kind: f"{page}#purecnn.layers.{kind}" for page, kinds in LISTED.items() for kind in kinds.split()
}


def chapters(documents: str | None) -> dict[str, str]:
    """Return the address of the page of every kind and part; none where no documents are known of.

    Parameters
    ----------
    documents : str or None
        The address of the built documents (`make docs`), absolute, or as seen from the page.

    Raises
    ------
    ValueError
        If it is no address of a web page.

    Examples
    --------
    >>> chapters("../docs")["MaxPooling"]
    '../docs/course/pooling.html'
    """
    if documents is None:
        return {}
    if not re.fullmatch(r"(?:https?://|(?![\w+.-]*:))[^\s\"'<>]+", documents):
        raise ValueError(
            f"the documents' address must begin with http:// or https://, or be a path, got {documents!r:.80}"
        )
    return {kind: f"{documents.rstrip('/')}/{page}" for kind, page in (CHAPTERS | PARTS).items()}
