"""The report: one page that tells all about a trained network.

`writer` puts it together of `sections`: `answers` on what the network says, `internals` on what goes on
inside.

Imports what `purecnn.plots` does. Begin with `writer`.
"""
