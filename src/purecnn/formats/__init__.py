"""File formats: bytes in, arrays out, of files that nobody need trust.

One module a format: `idx`, `npz`, `safetensors`, `protobuf`, `hdf5`, `pictures` with `pnm`,
`archives`, and PyTorch's in `pytorch`. `file_kinds` knows a format by its first bytes, `regular_files` opens
what a name means, `downloads` fetches. Each reader has a bound on memory and work, and raises
`FileFormatError` alone.

Imports `backend`. Begin with `idx`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.formats.archives import unpack as unpack
    from purecnn.formats.downloads import download as download
    from purecnn.formats.file_kinds import kind_of as kind_of
    from purecnn.formats.idx import read_idx as read_idx
    from purecnn.formats.npz import read_arrays as read_arrays
    from purecnn.formats.npz import read_npz as read_npz
    from purecnn.formats.pictures import picture_shape as picture_shape
    from purecnn.formats.pictures import read_mask as read_mask
    from purecnn.formats.pictures import read_picture as read_picture
    from purecnn.formats.pnm import read_pnm as read_pnm
    from purecnn.formats.protobuf import decode as decode
    from purecnn.formats.protobuf import encode as encode
    from purecnn.formats.pytorch.files import read_torch as read_torch
    from purecnn.formats.safetensors import read_safetensors as read_safetensors
    from purecnn.formats.safetensors import write_safetensors as write_safetensors
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "archives": "unpack",
            "downloads": "download",
            "file_kinds": "kind_of",
            "idx": "read_idx",
            "npz": "read_arrays read_npz",
            "pictures": "picture_shape read_mask read_picture",
            "pnm": "read_pnm",
            "protobuf": "decode encode",
            "pytorch.files": "read_torch",
            "safetensors": "read_safetensors write_safetensors",
        },
    )
