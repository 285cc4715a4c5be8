"""What one does at a command line with a model's file as it is: look at it, take it elsewhere."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from purecnn.model_file import load
from purecnn.network import Network
from purecnn.networks import NETWORKS
from purecnn.onnx_export import INPUTS, OPSET, export_onnx
from purecnn.summaries import summary
from purecnn.terminal import echo

DEFAULT_MODEL = Path("runs", "lenet-0", "model.safetensors")


def trained(path: str | Path) -> Network:
    """Load a model, or say how to come by one."""
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{path}: there is no such file; `purecnn train` makes a model and says where"
        )
    if Path(path).is_dir():
        found = Path(path, DEFAULT_MODEL.name)
        wanted = f"the model in it, {found}," if found.is_file() else "the file of a model"
        raise IsADirectoryError(f"{path}: this is a folder; {wanted} is wanted")
    return load(path)


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
    "--dtype", type=click.Choice(["float32", "float64"]), help="Of the numbers.  [default: the model's]"
)
def export(model: str, output: str, input: str, dtype: str | None) -> None:
    """Write a trained network as an ONNX file.

    MODEL is a file that was saved by train; OUT.onnx runs in onnxruntime and whatever else reads ONNX.
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

    For each layer its output shape, parameters and multiply-adds. MODEL is a file, or the name of a network,
    as train's --network lists them.
    """
    if model not in NETWORKS and not Path(model).exists():
        raise FileNotFoundError(f"{model}: there is no such file, and the networks are {', '.join(NETWORKS)}")
    echo(summary(NETWORKS[model]((1, 28, 28), 10, 0) if model in NETWORKS else trained(model)))


@click.command()
@click.argument("model", required=False)
@click.option(
    "--port", type=int, default=8642, show_default=True, help="Of this machine; 0 takes a free one."
)
@click.option("--no-browser", is_flag=True, help="Only say the page's address.")
def playground(model: str | None, port: int, no_browser: bool) -> None:
    """Draw for a network on a local page, and watch one learn.

    MODEL is a file that was saved by train; a network that reads digits if left out. Ctrl-C ends it.
    """
    from purecnn.playground import serve  # here, since few commands need a server

    def ready(address: str) -> None:
        echo(f"{address} (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(address)

    if model is not None:
        trained(model)  # a missing file gets its own sentence
    serve(model, port=port, ready=ready)
