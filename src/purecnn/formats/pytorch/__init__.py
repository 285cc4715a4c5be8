"""PyTorch's own files: tensors that ``torch.save`` wrote, read without PyTorch and without unpickling.

`pickle_reader` reads a pickle as data, `tensors` makes arrays of what it says, `files` finds both in a file.

Imports what `purecnn.formats` does. Begin with `files`.
"""
