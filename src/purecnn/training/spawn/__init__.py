"""Training by workers without fork: what they are told, when they are started, and what they run.

`description` says of a fit what another process needs to take part in it, `startup` decides when such
processes are worth their start, `worker` is what they run. How they are started is in `backend.spawn`.

Imports what `purecnn.training` does. Begin with `startup`.
"""
