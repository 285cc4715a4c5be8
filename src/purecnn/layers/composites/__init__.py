"""Composites: layers made of layers, ways that part and meet again.

`base` has what they share, `steps` what the engine runs where ways part and meet, `residual` the skip
connection.

Imports what `purecnn.layers` does. Begin with `residual`.
"""
