"""Words: the tables of names that `purecnn.messages.vocabulary` puts together.

`layers`, `training` and `arguments` say what a thing of Keras or PyTorch is called here, `absent` what has no
name here and why; `row` is what they are made of.

Imports nothing. Begin with `row`.
"""
