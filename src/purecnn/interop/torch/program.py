"""PyTorch programs written for a network.

A network as a PyTorch program: whoever goes on there should not have to write it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from purecnn.interop.torch import images, signals  # noqa: F401 - which add the rules of their layers
from purecnn.interop.torch.modules import MERGED, Module, modules, named
from purecnn.layers.base import Layer
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network


def class_of_paths(kind: str, says: str, result: str) -> str:
    """Return the source of a module that gives its input to several paths and merges their `ends`."""
    return f'''
class {kind}(nn.Module):
    """{says}"""

    def __init__(self, *paths):
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x):
        ends = [path(x) for path in self.paths]
        return {result}
'''


#: What each merge of `Branches` says of itself, and computes.
MERGES = {
    "add": ("Add what all paths give.", "sum(ends)"),
    "concatenate": ("Put the channels of all paths one behind the other.", "torch.cat(ends, 1)"),
    "multiply": (
        "Multiply what all paths give; a vector has a factor for each channel of images.",
        "math.prod(end.reshape(*end.shape, *[1] * (max(e.dim() for e in ends) - end.dim())) for end in ends)",
    ),
    "maximum": ("Take the largest of what all paths give.", "torch.stack(ends).max(0).values"),
    "mean": ("Take the mean of what all paths give.", "sum(ends) / len(ends)"),
}

#: The modules that PyTorch lacks, each written into a program that uses it.
CLASSES = {
    "Preprocessing": '''
class Preprocessing(nn.Module):
    """Scale and shift raw values, as the network was trained on them."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x):
        return x.to(DTYPE) * self.scale + self.shift
''',
    "PositionBias": '''
class PositionBias(nn.Module):
    """Add a bias of its own to each position of each feature map."""

    def __init__(self, *shape):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return x + self.bias
''',
    "ChannelNorm": '''
class ChannelNorm(nn.LayerNorm):
    """Normalize the channels at each pixel: nn.LayerNorm wants them last."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
''',
    "GaussianNoise": '''
class GaussianNoise(nn.Module):
    """Add normal random numbers in training."""

    def __init__(self, stddev):
        super().__init__()
        self.stddev = stddev

    def forward(self, x):
        return x + self.stddev * torch.randn_like(x) if self.training else x
''',
    "StochasticDepth": '''
class StochasticDepth(nn.Module):
    """Set whole samples to zero in training."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        share = torch.ones(len(x), *[1] * (x.dim() - 1), dtype=x.dtype, device=x.device)
        return x * nn.functional.dropout(share, self.rate, self.training)
''',
    "AverageWithin": '''
class AverageWithin(nn.Module):
    """Take the mean of each window's pixels, those of the border left out."""

    def __init__(self, size, stride, border):
        super().__init__()
        self.border, self.mean = border, nn.AvgPool2d(size, stride)

    def forward(self, x):
        x, one = (nn.functional.pad(a, self.border) for a in (x, torch.ones_like(x[:1, :1])))
        return self.mean(x) / self.mean(one)
''',
    "Residual": '''
class Residual(nn.Module):
    """Add what the layers compute to what the shortcut gives."""

    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, x):
        return self.layers(x) + self.shortcut(x)
''',
    **{MERGED[merge]: class_of_paths(MERGED[merge], *told) for merge, told in MERGES.items()},
}


@explained
def torch_code(
    network: Network | Sequence[Layer], weights: str | os.PathLike[str] | None = None, *, name: str = "model"
) -> str:
    """Return a PyTorch program that builds the same network.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape: trained, used, or declared with one.
    weights : str or path-like, optional
        A file that `save_state_dict` wrote: the program then loads it.
    name : str
        The variable that holds the module.

    Returns
    -------
    str
        Python source. It needs torch, and safetensors where it loads a file. The module is an
        ``nn.Sequential``, takes ``(N, *input_shape)`` and gives ``(N, *output_shape)``; the preprocessing is
        its first part. What PyTorch lacks (a bias for each position, a sum with a shortcut) is a class in
        the program.

    Raises
    ------
    TypeError
        If a layer has no counterpart, such as an `Activation` of your own functions.
    ValueError
        If the network has no input shape yet.

    Notes
    -----
    A convolution whose "same" padding is lopsided becomes an ``nn.ZeroPad2d`` and an ``nn.Conv2d``.
    ``BatchNormalization`` has PyTorch's own meaning of ``momentum`` already.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> print(torch_code([Dense(2, 3), Tanh()]))
    import torch
    from torch import nn
    <BLANKLINE>
    # takes (N, 2), gives (N, 3)
    model = nn.Sequential(
        nn.Linear(2, 3),  # (3,)
        nn.Tanh(),  # (3,)
    )
    """
    if not name.isidentifier():
        raise ValueError(f"name must be a name of Python, got {name!r}")
    network = as_network(network)
    found = modules(network)
    lines = ["import torch"]
    lines += ["from safetensors.torch import load_file"] if weights is not None else []
    multiplies = any(module.call == MERGED["multiply"] for module in everything(found))
    lines[:0] = ["import math", ""] if multiplies else []
    lines += ["from torch import nn", ""]
    body = list(written(found, "    "))
    for kind, source in CLASSES.items():
        if any(line.lstrip().startswith(f"{kind}(") for line in body):
            lines += [*source.replace("DTYPE", f"torch.{network.dtype}").splitlines(), ""]
    lines += [""] if lines[-2].startswith(" ") else []
    for kind, tensors in own_classes(found).items():
        lines.append(
            f"# {kind} is a layer of your own: import an nn.Module of that name, its tensors {tensors}"
        )
    if names := network.preprocessing.classes:
        lines += [f"CLASSES = {list(names)!r}", ""]
    shapes = (f"(N, {', '.join(map(str, s or ()))})" for s in (network.input_shape, network.output_shape))
    raw = {"bytes": "bytes (uint8) ", "numbers": "", "any": ""}[network.preprocessing.kind]
    lines.append(f"# takes {raw}{', gives '.join(shapes)}")
    precision = ".double()" if network.dtype == "float64" else ""
    lines += [f"{name} = nn.Sequential(", *body, f"){precision}"]
    for place, module in named(found):
        if module.layer is not None and not module.layer.trainable:
            lines.append(f"{name}.get_submodule({place!r}).requires_grad_(False)")
    if weights is not None:
        lines += [f"{name}.load_state_dict(load_file({os.fspath(weights)!r}))", f"{name}.eval()"]
    return "\n".join(lines) + "\n"


def everything(found: Sequence[Module]) -> Iterator[Module]:
    """Yield modules and those inside of them."""
    for module in found:
        yield module
        for way in module.inside.values():
            yield from everything(way)


def own_classes(found: Sequence[Module]) -> dict[str, str]:
    """Return the names of the user's own classes, and their tensors in words."""
    names: dict[str, str] = {}
    for module in found:
        if module.is_own:
            told = ", ".join(f"{name} {held.shape}" for name, held in module.tensors.items())
            names[type(module.layer).__name__] = told or "none"
        for way in module.inside.values():
            names |= own_classes(way)
    return names


def written(found: Sequence[Module], indent: str) -> Iterator[str]:
    """Yield the lines of modules in order; behind the last one of each layer stands its output's shape."""
    for place, module in enumerate(found):
        last = place + 1 == len(found) or found[place + 1].layer is not module.layer
        shape = module.layer.output_shape if module.layer is not None and last else None
        note = f"  # {shape}" if shape else ""
        if not module.inside:
            yield f"{indent}{module.call},{note}"
            continue
        yield f"{indent}{module.call}("
        for way in module.inside.values():
            if way:
                yield f"{indent}    nn.Sequential("
                yield from written(way, indent + " " * 8)
                yield f"{indent}    ),"
            else:
                yield f"{indent}    nn.Identity(),"
        yield f"{indent}),{note}"
