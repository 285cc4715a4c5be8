"""Distributed training: several processes train one network over MPI.

`ranks` is who they are and what they say, `agreement` what they compare first, `trainer` one step,
`fit` the loop, `exceptions` how a job ends. `sentinel` is a small process that outlives rank 0; `watch`
is each rank's connection to it, so that a dead rank ends the job.

Imports what `purecnn.training` does. Begin with `ranks`.
"""
