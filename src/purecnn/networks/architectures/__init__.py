"""Architectures: the small networks of the field, by the names and with the parameter counts of their papers.

`residual` has ResNet and Wide ResNet, `concatenated` DenseNet, Inception and SqueezeNet, `mobile` the
MobileNets and EfficientNet-B0, `shuffle` ShuffleNet, `vgg` VGG, `images` networks whose outputs are images,
`signals` one of signals. `blocks` is what they share, `registry` names those of images that end in classes.

Imports what `purecnn.networks` does. Begin with `residual`.
"""
