"""Commands on model files: summary, export, convert, playground.

The command that turns model files: Keras's into one of this package's, and that into PyTorch's weights.
"""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import click

from purecnn.cli.terminal import echo
from purecnn.formats.pytorch.files import read_torch
from purecnn.formats.safetensors import write_safetensors
from purecnn.interop.keras.model import load_keras
from purecnn.interop.torch.weights import save_state_dict
from purecnn.layers.summaries import summary
from purecnn.networks.files import load, save
from purecnn.networks.network import Network
from purecnn.networks.zoo import NETWORKS
from purecnn.onnx.exporter.writer import INPUTS, OPSET, export_onnx
from purecnn.runs.model_path import DIGITS, model_file, usual_model


@click.command()
@click.argument("model", metavar="IN")
@click.argument("output", metavar="OUT.safetensors")
def convert(model: str, output: str) -> None:
    """Turn Keras's model into one of this package, and that into PyTorch's.

    IN is a model that Keras saved, .keras or .h5, and OUT becomes this package's file of it; or IN is this
    package's file or the folder of a run, and OUT becomes a PyTorch state dict, whose PyTorch program is
    printed; or IN is a state dict that PyTorch saved, .pt or .pth, and OUT becomes the same tensors, without
    a pickle. OUT ends in .safetensors always.
    """
    if Path(output).exists() and Path(model).exists() and Path(output).samefile(model):
        raise ValueError(f"{output}: OUT must be another file than IN")
    if Path(output).suffix.lower() != ".safetensors":  # which is what it would be, whatever its name says
        raise ValueError(f"{output}: OUT is written as a safetensors file, its name must end in .safetensors")
    if Path(model).suffix.lower() in (".keras", ".h5", ".hdf5"):
        network = load_keras(model)
        save(network, output)
        echo(network.summary())
        echo(f"saved to {output}")
    elif Path(model).suffix.lower() in (".pt", ".pth"):
        tensors = read_torch(model)
        write_safetensors(output, tensors, {"format": "pt"})
        numbers = sum(array.size for array in tensors.values())
        echo(f"{output}: {len(tensors):,} tensors, {numbers:,} numbers")
    else:
        echo(save_state_dict(load(model_file(model)), output), nl=False)


def trained(model: str) -> Network:
    """Load the model that a file or the folder of a run holds."""
    return load(model_file(model))


def chosen(model: str | None, data: str | None = None) -> Path:
    """Return the file of the model named, or the usual one for some data, and say which that is."""
    if model is not None:
        return model_file(model)
    path = usual_model(data)
    words = f"the model is {path}"
    if path == DIGITS:
        words = "the model is the network of digits in this package, since nothing is trained here yet"
    echo(words, err=True)
    return path


@click.command()
@click.argument("model")
@click.argument("output", metavar="OUT.onnx")
@click.option(
    "--input",
    type=click.Choice(INPUTS),
    default="raw",
    help="What goes in: raw values, which may be bytes; the same values as floats; or floats scaled already.",
)
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), help="Type of the numbers.  [default: the model's]"
)
def export(model: str, output: str, input: str, dtype: str | None) -> None:
    """Write a trained network as an ONNX file.

    MODEL is a file or the folder of a run; OUT.onnx runs in onnxruntime and whatever else reads ONNX.
    """
    if Path(output).suffix != ".onnx":
        raise ValueError(f"the file to write must end in .onnx, got {output}")
    network = trained(model)
    export_onnx(network, output, input=input, dtype=dtype)
    size, kind = Path(output).stat().st_size, dtype or str(network.dtype)
    given = "uint8" if input == "raw" and network.preprocessing.kind == "bytes" else kind
    shapes = [
        ", ".join(map(str, ("N", *(shape or ())))) for shape in (network.input_shape, network.output_shape)
    ]
    echo(
        f"{output}: {size:,} bytes, operator set {OPSET}, "
        f"input ({shapes[0]}) {given}, output ({shapes[1]}) {kind}"
    )


@click.command(name="summary")
@click.argument("model", default="lenet")
def show(model: str) -> None:
    """Show the size of a network.

    For each layer its output shape, parameters and multiply-adds. MODEL is a file, the folder of a run, or
    the name of a network, as train's --network lists them.
    """
    if model not in NETWORKS and not Path(model).exists():
        raise FileNotFoundError(f"{model}: there is no such file, and the networks are {', '.join(NETWORKS)}")
    echo(summary(NETWORKS[model]((1, 28, 28), 10, 0) if model in NETWORKS else trained(model)))


@click.command()
@click.argument("model", required=False)
@click.option(
    "--port", type=int, default=8642, show_default=True, help="Port of this machine; 0 takes a free one."
)
@click.option("--no-browser", is_flag=True, help="Only say the page's address.")
@click.option("--docs", metavar="ADDRESS", help="Of the built documents, to which each layer's card leads.")
def playground(model: str | None, port: int, no_browser: bool, docs: str | None) -> None:
    """Draw for a network on a local page, and watch one learn.

    MODEL is a file or the folder of a run; the network of digits that is part of this package if left out.
    Ctrl-C ends it.
    """
    from purecnn.playground.server import serve  # here, since few commands need a server

    def ready(address: str) -> None:
        echo(f"{address} (Ctrl-C ends it)", err=sys.stdout is None)
        if not no_browser:
            webbrowser.open(address)

    serve(None if model is None else model_file(model), port=port, ready=ready, documents=docs)
