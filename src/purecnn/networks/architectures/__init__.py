"""Architectures: the small networks of the field, by the names and with the parameter counts of their papers.

`residual` has ResNet and Wide ResNet, `concatenated` DenseNet, Inception and SqueezeNet, `mobile` the
MobileNets and EfficientNet-B0, `vgg` VGG. `blocks` is what they share, `registry` names them all.

Imports what `purecnn.networks` does. Begin with `residual`.
"""
