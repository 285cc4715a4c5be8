"""The command that turns model files: Keras's into one of this package's, and that into PyTorch's weights."""

from __future__ import annotations

from pathlib import Path

import click

from purecnn.keras_model import load_keras
from purecnn.model_file import load, save
from purecnn.model_path import model_file
from purecnn.terminal import echo
from purecnn.torch_weights import save_state_dict


@click.command()
@click.argument("model", metavar="IN")
@click.argument("output", metavar="OUT.safetensors")
def convert(model: str, output: str) -> None:
    """Turn Keras's model into one of this package, and that into PyTorch's.

    IN is a model that Keras saved, .keras or .h5, and OUT becomes this package's file of it; or IN is this
    package's file or the folder of a run, and OUT becomes a PyTorch state dict, whose PyTorch program is
    printed. OUT ends in .safetensors either way.
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
    else:
        echo(save_state_dict(load(model_file(model)), output), nl=False)
