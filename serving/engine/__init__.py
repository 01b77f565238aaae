"""The engine: packed, routed, fan-out inference over a ladder, in torch, without a server."""
