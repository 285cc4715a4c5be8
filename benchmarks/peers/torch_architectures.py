"""The architectures of the literature in PyTorch, each written by hand after its paper.

The tests' fixtures are made of them in float64, so that purecnn's are known to compute the same; the
benchmark trains them as an honest eager program does, with activations that work in place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

Make = Callable[[], nn.Module]

relu: Make = partial(nn.ReLU, inplace=True)
relu6: Make = partial(nn.ReLU6, inplace=True)
silu: Make = partial(nn.SiLU, inplace=True)
hard_swish: Make = partial(nn.Hardswish, inplace=True)
hard_sigmoid: Make = nn.Hardsigmoid


class ExactHardSigmoid(nn.Module):
    """As its paper writes it: PyTorch's own modules have a sixth in float32 alone, in float64 too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu6(x + 3) / 6


class ExactHardSwish(ExactHardSigmoid):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * super().forward(x)


def unit(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    act: Make | None = relu,
    slow: bool = False,
) -> nn.Sequential:
    """Convolution, batch normalization, activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01) if slow else nn.BatchNorm2d(outputs)
    return nn.Sequential(conv, norm, *([act()] if act else []))


def ending(maps: int, classes: int, dropout: float = 0.0) -> list[nn.Module]:
    """The mean of each map, and a dense layer."""
    hidden: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *hidden, nn.Linear(maps, classes)]


def rounded(channels: float) -> int:
    """The `_make_divisible` of MobileNet's authors, by 8."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, option: str) -> None:
        super().__init__()
        self.one, self.two = unit(inputs, outputs, 3, stride), unit(outputs, outputs, 3, act=None)
        self.stride, self.more, self.act = stride, outputs - inputs, relu()
        self.shortcut: nn.Module | None = None
        if option == "convolution" and stride > 1:
            self.shortcut = unit(inputs, outputs, 1, stride, act=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.two(self.one(x))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.stride > 1:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        summed: torch.Tensor = self.act(y.add_(x))
        return summed


def resnet(
    channels: int, classes: int, depth: int = 20, width: int = 16, shortcut: str = "zeros"
) -> nn.Module:
    layers: list[nn.Module] = [unit(channels, width, 3)]
    inputs = width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            outputs = width * 2**stage
            layers.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1, shortcut))
            inputs = outputs
    return nn.Sequential(*layers, *ending(inputs, classes))


class WideBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.act = nn.BatchNorm2d(inputs), relu()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.act(self.norm1(x))
        y: torch.Tensor = self.conv2(self.act(self.norm2(self.conv1(active))))
        return y.add_(x if self.short is None else self.short(active))


def wide_resnet(channels: int, classes: int, depth: int = 16, width: int = 4) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, 1, 1, bias=False)]
    inputs = 16
    for stage in range(3):
        for block in range((depth - 4) // 6):
            outputs = 16 * width * 2**stage
            layers.append(WideBlock(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), relu(), *ending(inputs, classes))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, growth, 3, 1, 1, bias=False)
        self.act = relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(self.act(self.norm(x)))], 1)


def densenet(channels: int, classes: int, depth: int = 40, growth: int = 12) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, 1, 1, bias=False)]
    maps = 16
    for block in range(3):
        for _ in range((depth - 4) // 3):
            layers.append(DenseLayer(maps, growth))
            maps += growth
        layers += [nn.BatchNorm2d(maps), relu()]
        if block < 2:
            layers += [nn.Conv2d(maps, maps, 1, bias=False), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, *ending(maps, classes))


class Beside(nn.Module):
    """Modules that are given the same, their outputs one behind the other."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([path(x) for path in self.paths], 1)


def inception_small(channels: int, classes: int, width: float = 1.0) -> nn.Module:
    maps = round(96 * width)
    layers: list[nn.Module] = [unit(channels, maps, 3)]
    table = [
        (32, 32),
        (32, 48),
        (80,),
        (112, 48),
        (96, 64),
        (80, 80),
        (48, 96),
        (96,),
        (176, 160),
        (176, 160),
    ]
    for row in table:
        one, *more = (round(n * width) for n in row)
        if more:
            layers.append(Beside(unit(maps, one, 1), unit(maps, more[0], 3)))
            maps = one + more[0]
        else:
            layers.append(Beside(unit(maps, one, 3, 2), nn.MaxPool2d(3, 2, 1)))
            maps += one
    return nn.Sequential(*layers, *ending(maps, classes))


def squeezenet(
    channels: int, classes: int, width: float = 1.0, dropout: float = 0.5, stem_stride: int = 1
) -> nn.Module:
    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), relu())

    maps = round(64 * width)
    layers = [nn.Conv2d(channels, maps, 3, stem_stride, 0 if stem_stride > 1 else 1), relu()]
    fires = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    for place, (squeezed, expanded) in enumerate(fires):
        if place in (0, 2, 4):
            layers.append(nn.MaxPool2d(3, 2))
        s, e = round(squeezed * width), round(expanded * width)
        layers += [conv(maps, s, 1), Beside(conv(s, e, 1), conv(s, e, 3))]
        maps = 2 * e
    hidden: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, *hidden, conv(maps, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def vgg_small(channels: int, classes: int, width: int = 128, side: int = 4) -> nn.Module:
    layers: list[nn.Module] = []
    for outputs in (width, 2 * width, 4 * width):
        layers += [unit(channels, outputs, 3), unit(outputs, outputs, 3), nn.MaxPool2d(2)]
        channels = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side**2, classes))


def mobilenet_v1(channels: int, classes: int, width: float = 1.0, stem_stride: int = 1) -> nn.Module:
    maps = rounded(32 * width)
    layers = [unit(channels, maps, 3, stem_stride)]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    depths = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for depth, stride in zip(depths, strides, strict=True):
        outputs = rounded(depth * width)
        layers += [unit(maps, maps, 3, stride, groups=maps), unit(maps, outputs, 1)]
        maps = outputs
    return nn.Sequential(*layers, *ending(maps, classes))


class Excited(nn.Module):
    def __init__(self, maps: int, squeezed: int, act: Make, gate: Make) -> None:
        super().__init__()
        self.down, self.act = nn.Linear(maps, squeezed), act()
        self.up, self.gate = nn.Linear(squeezed, maps), gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        factors: torch.Tensor = self.gate(self.up(self.act(self.down(x.mean((2, 3))))))
        return x * factors[:, :, None, None]


class Inverted(nn.Module):
    """MobileNetV2's block, with squeeze-and-excitation where there is an `excited`."""

    def __init__(
        self,
        maps: tuple[int, int, int],
        kernel: int,
        stride: int,
        act: Make,
        excited: nn.Module | None = None,
        slow: bool = False,
        skipped: float = 0.0,
    ) -> None:
        super().__init__()
        inputs, wide, outputs = maps
        layers: list[nn.Module] = [unit(inputs, wide, 1, act=act, slow=slow)] if wide != inputs else []
        layers.append(unit(wide, wide, kernel, stride, wide, act, slow))
        layers += [excited] if excited else []
        self.body = nn.Sequential(*layers, unit(wide, outputs, 1, act=None, slow=slow))
        self.adds, self.skipped = stride == 1 and inputs == outputs, skipped

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        if self.adds and self.skipped and self.training:
            kept = 1 - self.skipped
            y = y * torch.empty(len(y), 1, 1, 1, dtype=y.dtype).bernoulli_(kept).div_(kept)
        return y.add_(x) if self.adds else y


def mobilenet_v2(
    channels: int, classes: int, width: float = 1.0, stem_stride: int = 1, dropout: float = 0.2
) -> nn.Module:
    maps = rounded(32 * width)
    layers: list[nn.Module] = [unit(channels, maps, 3, stem_stride, act=relu6)]
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2)]
    for t, c, n, s in [*rows, (6, 320, 1, 1)]:
        for place in range(n):
            outputs = rounded(c * width)
            layers.append(Inverted((maps, maps * t, outputs), 3, 1 if place else s, relu6))
            maps = outputs
    return nn.Sequential(*layers, unit(maps, 1280, 1, act=relu6), *ending(1280, classes, dropout))


def mobilenet_v3_small(
    channels: int, classes: int, width: float = 1.0, stem_stride: int = 1, dropout: float = 0.2
) -> nn.Module:
    maps = rounded(16 * width)
    layers: list[nn.Module] = [unit(channels, maps, 3, stem_stride, act=hard_swish, slow=True)]
    rows = [
        (3, 16, 16, True, "RE", 2),
        (3, 72, 24, False, "RE", 2),
        (3, 88, 24, False, "RE", 1),
        (5, 96, 40, True, "HS", 2),
        (5, 240, 40, True, "HS", 1),
        (5, 240, 40, True, "HS", 1),
        (5, 120, 48, True, "HS", 1),
        (5, 144, 48, True, "HS", 1),
        (5, 288, 96, True, "HS", 2),
        (5, 576, 96, True, "HS", 1),
        (5, 576, 96, True, "HS", 1),
    ]
    for kernel, wide, outputs, gated, act, stride in rows:
        wide, outputs = rounded(wide * width), rounded(outputs * width)
        excited = Excited(wide, rounded(wide / 4), relu, hard_sigmoid) if gated else None
        used = relu if act == "RE" else hard_swish
        layers.append(Inverted((maps, wide, outputs), kernel, stride, used, excited, slow=True))
        maps = outputs
    hidden = rounded(1024 * width)
    layers += [unit(maps, 6 * maps, 1, act=hard_swish, slow=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(6 * maps, hidden), hard_swish(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(hidden, classes))


def efficientnet_b0(
    channels: int,
    classes: int,
    width: float = 1.0,
    stem_stride: int = 1,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> nn.Module:
    maps = rounded(32 * width)
    layers: list[nn.Module] = [unit(channels, maps, 3, stem_stride, act=silu, slow=True)]
    rows = [(1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)]
    block = 0
    for t, kernel, c, n, s in [*rows, (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)]:
        for place in range(n):
            outputs = rounded(c * width)
            excited = Excited(maps * t, maps // 4, silu, nn.Sigmoid)
            sizes = maps, maps * t, outputs
            rate = stochastic_depth * block / 16
            layers.append(Inverted(sizes, kernel, 1 if place else s, silu, excited, True, rate))
            maps, block = outputs, block + 1
    last = rounded(1280 * width)
    return nn.Sequential(*layers, unit(maps, last, 1, act=silu, slow=True), *ending(last, classes, dropout))


class ShuffleUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int, groups: int, first: int) -> None:
        super().__init__()
        self.halves, narrow = inputs != outputs, outputs // 4
        self.one, self.groups = unit(inputs, narrow, 1, groups=first), groups
        self.two = unit(narrow, narrow, 3, 2 if self.halves else 1, narrow, None)
        self.three = unit(narrow, outputs - inputs if self.halves else outputs, 1, groups=groups, act=None)
        self.pool, self.act = nn.AvgPool2d(3, 2, 1), relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x)
        n, c, h, w = y.shape
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.three(self.two(y))
        merged: torch.Tensor = self.act(torch.cat([self.pool(x), y], 1) if self.halves else y.add_(x))
        return merged


def shufflenet(
    channels: int, classes: int, groups: int = 3, width: float = 1.0, stem_stride: int = 1
) -> nn.Module:
    maps = round(24 * width / groups) * groups
    layers: list[nn.Module] = [unit(channels, maps, 3, stem_stride)]
    if stem_stride > 1:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for stage, blocks in enumerate((4, 8, 4)):
        outputs = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}[groups] * 2**stage
        outputs = round(outputs * width / (4 * groups)) * 4 * groups
        for block in range(blocks):
            layers.append(ShuffleUnit(maps, outputs, groups, groups if stage or block else 1))
            maps = outputs
    return nn.Sequential(*layers, *ending(maps, classes))


class Level(nn.Module):
    """A size of a U-Net, and all smaller ones."""

    def __init__(self, channels: int, maps: int, depth: int) -> None:
        super().__init__()
        self.before = nn.Sequential(unit(channels, maps, 3), unit(maps, maps, 3))
        self.inner: nn.Module | None = None
        if depth:
            self.pool, self.inner = nn.MaxPool2d(2), Level(maps, 2 * maps, depth - 1)
            self.up = nn.ConvTranspose2d(2 * maps, maps, 2, 2)
            self.after = nn.Sequential(unit(2 * maps, maps, 3), unit(maps, maps, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        if self.inner is not None:
            x = self.after(torch.cat([x, self.up(self.inner(self.pool(x)))], 1))
        return x


def unet(channels: int, classes: int, depth: int = 3, width: int = 16) -> nn.Module:
    return nn.Sequential(Level(channels, width, depth), nn.Conv2d(width, classes, 1))


def autoencoder(channels: int, code: int, side: tuple[int, int], width: int = 16) -> nn.Module:
    small = (2 * width, side[0] // 4, side[1] // 4)
    size = small[0] * small[1] * small[2]
    return nn.Sequential(
        unit(channels, width, 3, 2),
        unit(width, 2 * width, 3, 2),
        nn.Flatten(),
        nn.Linear(size, code),
        nn.Linear(code, size),
        relu(),
        nn.Unflatten(1, small),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        relu(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1),
        nn.Sigmoid(),
    )


class SignalBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place, kernel in enumerate((8, 5, 3)):
            conv = nn.Conv1d(outputs if place else inputs, outputs, kernel, padding="same", bias=False)
            layers += [conv, nn.BatchNorm1d(outputs), *([relu()] if place < 2 else [])]
        self.body, norm = nn.Sequential(*layers), nn.BatchNorm1d(outputs)
        conv = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.shortcut = nn.Sequential(conv, norm) if inputs != outputs else norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet_1d(channels: int, classes: int, width: int = 64) -> nn.Module:
    blocks = SignalBlock(channels, width), SignalBlock(width, 2 * width), SignalBlock(2 * width, 2 * width)
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2 * width, classes))


#: Each by the name that purecnn gives it, as functions of (channels, classes), for images of 32 x 32.
ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "vgg-small": vgg_small,
    "resnet-20": resnet,
    "resnet-32": partial(resnet, depth=32),
    "resnet-44": partial(resnet, depth=44),
    "resnet-56": partial(resnet, depth=56),
    "wide-resnet-16-4": wide_resnet,
    "densenet-40-12": densenet,
    "inception-small": inception_small,
    "squeezenet": squeezenet,
    "mobilenet-v1": mobilenet_v1,
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3-small": mobilenet_v3_small,
    "shufflenet": shufflenet,
    "efficientnet-b0": efficientnet_b0,
}
