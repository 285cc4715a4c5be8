"""The backend: arrays and where they lie, memory, workers, random numbers, files written whole.

`arrays` and `devices` say where a network computes, `memory` keeps buffers, `cores` says how many
workers there are, `threads` and `processes` are their pools, `sharding` cuts a batch, `random` keys every
draw, `checks` refuses wrong arguments, `files` writes a file whole or not at all.

Imports `messages`. Nothing here knows of a layer. Begin with `arrays`, then `sharding`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.backend.arrays import Device as Device
    from purecnn.backend.arrays import module_of as module_of
    from purecnn.backend.arrays import to_device as to_device
    from purecnn.backend.arrays import to_host as to_host
    from purecnn.backend.devices import as_device as as_device
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "arrays": "Device module_of to_device to_host",
            "devices": "as_device",
        },
    )
