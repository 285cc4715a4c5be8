"""Networks: `Network`, plain lists of layers, networks worth having by name, saving and loading.

`network` is what can be trained and asked, `on_batch` a step at a time; `functional` has the original
program's `train` and `predict` on lists, `zoo` the networks by name, `architectures` those of the literature,
`files` saves and loads, `pictures` prepares a picture for a network.

Imports `backend` to `training`. Begin with `network`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.networks.architectures.concatenated import densenet as densenet
    from purecnn.networks.architectures.concatenated import inception_small as inception_small
    from purecnn.networks.architectures.concatenated import squeezenet as squeezenet
    from purecnn.networks.architectures.images import autoencoder as autoencoder
    from purecnn.networks.architectures.images import unet as unet
    from purecnn.networks.architectures.mobile import efficientnet_b0 as efficientnet_b0
    from purecnn.networks.architectures.mobile import mobilenet_v1 as mobilenet_v1
    from purecnn.networks.architectures.mobile import mobilenet_v2 as mobilenet_v2
    from purecnn.networks.architectures.mobile import mobilenet_v3_small as mobilenet_v3_small
    from purecnn.networks.architectures.registry import ARCHITECTURES as ARCHITECTURES
    from purecnn.networks.architectures.residual import resnet as resnet
    from purecnn.networks.architectures.residual import wide_resnet as wide_resnet
    from purecnn.networks.architectures.shuffle import shufflenet as shufflenet
    from purecnn.networks.architectures.signals import resnet_1d as resnet_1d
    from purecnn.networks.architectures.vgg import vgg_small as vgg_small
    from purecnn.networks.files import load as load
    from purecnn.networks.files import save as save
    from purecnn.networks.functional import fit as fit
    from purecnn.networks.functional import predict as predict
    from purecnn.networks.functional import train as train
    from purecnn.networks.network import Network as Network
    from purecnn.networks.zoo import NETWORKS as NETWORKS
    from purecnn.networks.zoo import accurate as accurate
    from purecnn.networks.zoo import clothes as clothes
    from purecnn.networks.zoo import dense as dense
    from purecnn.networks.zoo import lenet as lenet
    from purecnn.networks.zoo import original as original
    from purecnn.networks.zoo import quick as quick
    from purecnn.networks.zoo import suited as suited
    from purecnn.networks.zoo import tiny as tiny
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "architectures.concatenated": "densenet inception_small squeezenet",
            "architectures.mobile": "efficientnet_b0 mobilenet_v1 mobilenet_v2 mobilenet_v3_small",
            "architectures.images": "autoencoder unet",
            "architectures.registry": "ARCHITECTURES",
            "architectures.residual": "resnet wide_resnet",
            "architectures.shuffle": "shufflenet",
            "architectures.signals": "resnet_1d",
            "architectures.vgg": "vgg_small",
            "files": "load save",
            "functional": "fit predict train",
            "network": "Network",
            "zoo": "accurate clothes dense lenet NETWORKS original quick suited tiny",
        },
    )
