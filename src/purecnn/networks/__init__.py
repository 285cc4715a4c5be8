"""Networks: `Network`, plain lists of layers, networks worth having by name, saving and loading.

`network` is what can be trained and asked, `on_batch` a step at a time; `functional` has the original
program's `train` and `predict` on lists, `zoo` the networks by name, `files` saves and loads, `pictures`
prepares a picture for a network.

Imports `backend` to `training`. Begin with `network`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
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
            "files": "load save",
            "functional": "fit predict train",
            "network": "Network",
            "zoo": "accurate clothes dense lenet NETWORKS original quick suited tiny",
        },
    )
