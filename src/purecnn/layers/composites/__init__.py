"""Composites: layers made of layers, branches that part and meet again.

`base` has what they share, `steps` what the engine runs where branches part and meet, `merges` how their ends
become one, `branches` the general layer, `residual` the skip connection; `nesting` finds both in a
graph of values.

Imports what `purecnn.layers` does. Begin with `branches`.
"""
