"""PyTorch: weights go there and come back as a state dict, networks go as a program.

`modules` says what each layer is in PyTorch, `images` what those of images without parameters are, `signals`
what those of signals are, `pairs` which modules stand together by their names, `weights` reads and writes
state dicts, `program` writes Python.

Imports what `purecnn.interop` does. Begin with `modules`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.interop.torch.program import torch_code as torch_code
    from purecnn.interop.torch.weights import load_state_dict as load_state_dict
    from purecnn.interop.torch.weights import save_state_dict as save_state_dict
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "program": "torch_code",
            "weights": "load_state_dict save_state_dict",
        },
    )
