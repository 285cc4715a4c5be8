"""Workers without fork: processes started afresh, over memory that they are handed.

`arena` is the memory, `process` one worker process and its socket, `pool` the caller's side of their work,
`service` a worker's. No process is forked and nothing is pickled: a worker gets its task as JSON.

Imports `messages`. Begin with `pool`, beside `purecnn.backend.processes`, whose workers are forked.
"""
