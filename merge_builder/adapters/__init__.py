"""PEFT adapters (LoRA, (IA)3) as experts: folded into the base tensor by tensor, when they are read."""

from merge_builder.adapters.adapter import open_adapter

__all__ = ["open_adapter"]
