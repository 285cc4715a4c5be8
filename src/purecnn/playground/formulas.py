"""Formulas of the chain rule, as the page shows them, in the letters of the course."""

from __future__ import annotations

#: What the backward pass of a layer, from x to z, does with g, which is ∂L/∂z.
FORMULAS = {
    "Dense": "∂L/∂W = g xᵀ,  ∂L/∂b = g,  ∂L/∂x = Wᵀ g",
    "Convolutional": "∂L/∂K = Σ g · window,  ∂L/∂b = Σ g,  ∂L/∂x = Σ K · g over the windows that hold x",
    "MaxPooling": "∂L/∂x = g for the winner of each window, 0 for the others",
    "AveragePooling": "∂L/∂x = g / n for each of the n cells of a window",
    "BatchNormalization": "∂L/∂γ = Σ g x̂,  ∂L/∂β = Σ g,  ∂L/∂x = g γ / √(σ² + ε)  (running statistics)",
    "Dropout": "∂L/∂x = g  (nothing is hidden outside of training)",
    "Flatten": "∂L/∂x = g, in the input's shape",
    "ReLU": "∂L/∂x = g where x > 0, else 0",
    "LeakyReLU": "∂L/∂x = g where x > 0, else 0.01 g",
    "Tanh": "∂L/∂x = g (1 − tanh² x)",
    "Sigmoid": "∂L/∂x = g σ(x) (1 − σ(x))",
    "GELU": "∂L/∂x = g (Φ(x) + x φ(x))",
    "SiLU": "∂L/∂x = g (σ(x) + x σ(x) (1 − σ(x)))",
}
#: What the last activation, which gives the answer p, and the loss do together; y is what is right.
JOINT = "with the cross-entropy in one:  ∂L/∂x = p − y,  the answer less what is right"
