"""How requests are spread over nodes: at random, or to the shorter queue of two."""

import numpy as np
from numpy.typing import NDArray

from deploy.simulate.load import Routing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def route(routing: Routing, count: int, outstanding: Ints, speed: Floats, chance: np.random.Generator) -> Ints:
    """How many of `count` requests go to each node.

    `random` is what a Kubernetes Service does. `two_choices` takes the one of two random nodes with fewer requests
    `outstanding` (Mitzenmacher 2001), as Ray Serve's router does. `weighted` draws the two in proportion to their
    `speed` and takes the one with less work outstanding, as a gateway does that knows the nodes. All requests of one
    call see the same queues.
    """
    nodes = len(outstanding)
    if routing == "random":
        return np.bincount(chance.integers(nodes, size=count), minlength=nodes)
    if routing == "two_choices":
        one, other = chance.integers(nodes, size=(2, count))
        length: NDArray[np.float64] | Ints = outstanding
    else:
        places = np.cumsum(speed)
        drawn = np.searchsorted(places, chance.random((2, count)) * places[-1], side="right")
        one, other = np.minimum(drawn, nodes - 1)  # a product may round up to the last place
        length = outstanding / speed
    return np.bincount(np.where(length[one] <= length[other], one, other), minlength=nodes)
