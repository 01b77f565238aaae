"""The demo's real models and data: a base and tasks read out of PyPI packages, fine-tuned on this machine."""

from deploy.demo.assets import DemoAssets, prepare

__all__ = ["prepare", "DemoAssets"]
