"""How labelled tokens become entities; alone here, for clients that load nothing else (`serving.tokens.entities`)."""

from typing import Literal

Strategy = Literal["none", "simple", "first", "average", "max"]
