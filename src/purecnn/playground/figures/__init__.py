"""The live figures of the course: pictures that are drawn anew for the numbers that a reader chooses.

Each is a function of what may be chosen to a drawing in SVG, which `table` names. The course's still pictures
are the same functions, called with the numbers of the text.

Imports `inspection` and what lies below. Begin with `windows`.
"""
