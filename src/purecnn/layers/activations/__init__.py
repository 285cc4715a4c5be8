"""Activations: functions of each value of an array, and the softmax.

`elementwise` is what they share; `basic` has sigmoid, tanh and softmax, `rectified` ReLU and its
relatives, `gated` those that multiply by a gate, `custom` makes one of your own functions.

Imports what `purecnn.layers` does. Begin with `elementwise`.
"""
