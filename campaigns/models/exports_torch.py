"""ONNX files as torch's two exporters write them, of torchvision's networks and of some written here.

A program for an environment with torch, torchvision and onnxscript: ``python
campaigns/models/exports_torch.py FOLDER [NAME...]`` writes `FOLDER/NAME-EXPORTER.onnx`. Weights are drawn
from one seed; no file is fetched.
"""

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

try:
    import torchvision
except RuntimeError:  # its compiled part is for another build of torch: its classifiers need none of it
    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor"
        )
    import torchvision

#: torchvision's classifiers, each with the side of its pictures.
CLASSIFIERS = {
    "alexnet": 224,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
    "inception_v3": 128,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_0": 64,
    "squeezenet1_1": 64,
    "vgg11": 224,
    "vgg11_bn": 224,
    "swin_t": 64,
    "vit_b_16": 224,
}
#: Those of them that both exporters get: the newer one takes minutes.
BOTH = {"convnext_tiny", "densenet121", "efficientnet_b0", "mobilenet_v2", "resnet18", "shufflenet_v2_x1_0"}


class Block(nn.Sequential):
    """Convolution, normalization, ReLU."""

    def __init__(self, inputs, outputs, size=3, stride=1):
        super().__init__(
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """A U-Net of three levels (Ronneberger et al. 2015)."""

    def __init__(self, upsampling="transposed"):
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(Block(a, b), Block(b, b)) for a, b in [(3, 16), (16, 32), (32, 64)]
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, 2)
            if upsampling == "transposed"
            else nn.Sequential(nn.Upsample(scale_factor=2, mode=upsampling), nn.Conv2d(b, a, 1))
            for a, b in [(32, 64), (16, 32)]
        )
        self.join = nn.ModuleList(nn.Sequential(Block(2 * a, a), Block(a, a)) for a in (32, 16))
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        kept = []
        for place, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if place else x)
            kept.append(x)
        for up, join, beside in zip(self.up, self.join, kept[-2::-1], strict=True):
            x = join(torch.cat([up(x), beside], 1))
        return self.head(x)


class CRNN(nn.Module):
    """A reader of a line of text: convolutions, then a recurrent layer or one more convolution."""

    def __init__(self, recurrent=True):
        super().__init__()
        self.features = nn.Sequential(
            Block(1, 16), nn.MaxPool2d(2), Block(16, 32), nn.MaxPool2d(2), Block(32, 64), nn.MaxPool2d((8, 1))
        )
        self.lstm = nn.LSTM(64, 32, bidirectional=True, batch_first=True) if recurrent else None
        self.between = nn.Conv1d(64, 64, 3, padding=1)
        self.head = nn.Linear(64, 37)

    def forward(self, x):
        x = self.features(x).squeeze(2)
        x = self.lstm(x.transpose(1, 2))[0] if self.lstm else F.relu(self.between(x)).transpose(1, 2)
        return F.log_softmax(self.head(x), 2)


class Squeeze(nn.Module):
    """Squeeze-and-excitation, as its paper's code and timm's variants have it."""

    def __init__(self, channels, kind="linear"):
        super().__init__()
        self.kind = kind
        if kind == "linear":
            self.a, self.b = nn.Linear(channels, channels // 4), nn.Linear(channels // 4, channels)
        elif kind == "conv":
            self.a, self.b = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)
        else:
            self.a = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        if self.kind == "linear":
            s = F.adaptive_avg_pool2d(x, 1).view(x.shape[0], -1)
            return x * torch.sigmoid(self.b(F.relu(self.a(s)))).view(x.shape[0], -1, 1, 1)
        if self.kind == "conv":
            return x * F.hardsigmoid(self.b(F.relu(self.a(x.mean((2, 3), keepdim=True)))))
        s = self.a(x.mean((2, 3)).unsqueeze(1)).squeeze(1)
        return x * torch.sigmoid(s)[:, :, None, None]


class Residual(nn.Module):
    """A residual block with squeeze-and-excitation."""

    def __init__(self, inputs, outputs, stride, kind):
        super().__init__()
        self.body = nn.Sequential(
            Block(inputs, outputs, stride=stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            Squeeze(outputs, kind),
        )
        self.across = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.across(x))


class Normalized(nn.Module):
    """LayerNorm over the channels, by `permute`, as in ConvNeXt's own code."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelsFirstNorm(nn.Module):
    """LayerNorm over the channels, by its arithmetic."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(1 + torch.rand(channels)),
            nn.Parameter(torch.rand(channels) - 0.5),
        )

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Shuffle(nn.Module):
    """Two groups of convolutions, and a channel shuffle between, after a split."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = Block(3, 16, stride=2), Block(8, 8), nn.Conv2d(16, 16, 3, groups=2)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        left, right = self.stem(x).chunk(2, 1)
        x = torch.cat([left, self.a(right)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(F.hardswish(self.b(x)).mean((2, 3)))


class Focus(nn.Module):
    """YOLOv5's first layer: four slices of every second pixel, one behind the other."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = Block(12, 16), nn.Conv2d(16, 8, 1)

    def forward(self, x):
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.head(self.conv(torch.cat(parts, 1)))


class Pyramid(nn.Module):
    """Spatial pyramid pooling, upsampling by `interpolate`, skips."""

    def __init__(self):
        super().__init__()
        self.stem, self.low = Block(3, 16, stride=2), Block(16, 32, stride=2)
        self.after, self.head = Block(128, 32), nn.Conv2d(48, 4, 1)

    def forward(self, x):
        high = F.silu(self.stem(x))
        low = self.low(high)
        low = self.after(torch.cat([low, *(F.max_pool2d(low, k, 1, k // 2) for k in (5, 9, 13))], 1))
        return self.head(torch.cat([F.interpolate(low, scale_factor=2, mode="nearest"), high], 1))


class Scaled(nn.Module):
    """Pictures of bytes' range, normalized inside: subtraction and division for each channel."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Block(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x):
        return F.softmax(self.body((x - self.mean) / self.std), 1)


class Autoencoder(nn.Module):
    """Down by strides, up by transposed convolutions, through a vector."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
        )
        self.inner = nn.Sequential(nn.Linear(16 * 49, 20), nn.Linear(20, 16 * 49), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1),
        )

    def forward(self, x):
        return torch.sigmoid(self.up(self.inner(self.down(x)).view(-1, 16, 7, 7)))


class Tutorial(nn.Module):
    """PyTorch's MNIST example: dropout, `view`, log_softmax."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.c, self.d = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b(F.relu(self.a(x)))), 2)
        x = F.relu(self.c(F.dropout(torch.flatten(F.dropout(x, 0.25, self.training), 1), 0.5, self.training)))
        return F.log_softmax(self.d(x), dim=1)


class Padded(nn.Module):
    """Padding of its own before convolutions and poolings, as ports from TensorFlow have it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = F.relu6(self.a(F.pad(x, (0, 1, 0, 1))))
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 2)
        return self.head(F.leaky_relu(self.b(F.pad(x, (1, 1, 1, 1), mode="reflect")), 0.1)).mean((2, 3))


class Mixer(nn.Module):
    """An MLP-Mixer: patches, LayerNorm, products over patches and over channels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(3))
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norms[1](x))
        return self.head(self.norms[2](x).mean(1))


class Spectrogram(nn.Module):
    """A keyword spotter on spectrograms whose channel axis is put in inside."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(1), Block(1, 16, stride=2), Block(16, 16), nn.AdaptiveAvgPool2d((1, 1))
        )
        self.head = nn.Linear(16, 12)

    def forward(self, x):
        return self.head(self.body(x.unsqueeze(1)).flatten(1))


def conv1d():
    return nn.Sequential(
        nn.Conv1d(1, 16, 9, 4, 4),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(16, 32, 3, padding=2, dilation=2),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(32, 5),
    )


def activations():
    kinds = [nn.ELU(), nn.SELU(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Hardswish()]
    kinds += [nn.Hardsigmoid(), nn.PReLU(8), nn.Tanh(), nn.Softsign(), nn.ReLU6(), nn.GELU("tanh")]
    layers = [nn.Conv2d(3, 8, 3, padding=1)]
    for kind in kinds:
        layers += [kind, nn.Conv2d(8, 8, 3, padding=1)]
    return nn.Sequential(*layers)


def groups():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.InstanceNorm2d(16, affine=True),
        nn.Conv2d(16, 8, 1, bias=False),
        nn.LayerNorm([8, 28, 28]),
        nn.PixelShuffle(2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
    )


def own():
    """Return the networks written here: name, model, shape of a batch of two."""
    image = (2, 3, 32, 32)
    yield "unet", UNet(), image
    yield "unet-nearest", UNet("nearest"), image
    yield "unet-bilinear", UNet("bilinear"), image
    yield "crnn", CRNN(), (2, 1, 32, 100)
    yield "crnn-convolutions", CRNN(recurrent=False), (2, 1, 32, 100)
    for kind in ("linear", "conv", "efficient"):
        body = [
            Block(3, 16),
            Residual(16, 16, 1, kind),
            Residual(16, 32, 2, kind),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        ]
        yield f"squeeze-{kind}", nn.Sequential(*body), image
    for name, norm in (("permuted", Normalized), ("arithmetic", ChannelsFirstNorm)):
        body = [
            nn.Conv2d(3, 16, 4, 4),
            norm(16),
            nn.Conv2d(16, 16, 7, padding=3, groups=16),
            norm(16),
            nn.Conv2d(16, 64, 1),
            nn.GELU(),
            nn.Conv2d(64, 8, 1),
        ]
        yield f"layer-norm-{name}", nn.Sequential(*body), image
    yield "shuffle", Shuffle(), image
    yield "focus", Focus(), image
    yield "pyramid", Pyramid(), image
    yield "scaled", Scaled(), image
    yield "autoencoder", Autoencoder(), (2, 1, 28, 28)
    yield "tutorial", Tutorial(), (2, 1, 28, 28)
    yield "padded", Padded(), image
    yield "mixer", Mixer(), image
    yield "spectrogram", Spectrogram(), (2, 40, 98)
    yield "conv1d", conv1d(), (2, 1, 1024)
    yield "activations", activations(), image
    yield "groups", groups(), image


def models(names):
    """Yield name, model, shape of a batch and exporters, of those named, or all."""
    for name, model, shape in own():
        if not names or name in names:
            yield name, model, shape, ("script", "dynamo")
    for name, side in CLASSIFIERS.items():
        if not names or name in names:
            more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            model = torchvision.models.get_model(name, weights=None, num_classes=100, **more)
            yield name, model, (2, 3, side, side), ("script", "dynamo") if name in BOTH else ("script",)


def export(model, shape, path, exporter):
    """Write a model, the size of the batch open."""
    x = torch.rand(shape)
    if exporter == "dynamo":
        batch = torch.export.Dim("batch", min=1, max=1024)
        torch.onnx.export(
            model, (x,), path, dynamo=True, dynamic_shapes=({0: batch},), external_data=False, verbose=False
        )
    else:
        torch.onnx.export(
            model, (x,), path, dynamo=False, input_names=["input"], dynamic_axes={"input": {0: "batch"}}
        )


def randomized(model):
    """Give normalizations statistics and parameters as after training: a fresh network's say little."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.7, 1.4)
        affine = isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm)
        if affine and module.weight is not None:
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for all of attention, which ONNX lacks
    with torch.no_grad():
        for name, model, shape, exporters in models(names):
            for exporter in exporters:
                path = folder / f"{name}-{exporter}.onnx"
                if path.exists():
                    continue
                try:
                    with contextlib.redirect_stdout(io.StringIO()):
                        export(randomized(model), shape, path, exporter)
                except Exception as error:
                    path.unlink(missing_ok=True)
                    print(f"{path.name}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")


if __name__ == "__main__":
    main()
