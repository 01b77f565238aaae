"""A row for each family of images, and for what its configurations can ask for besides: to add one, add a row."""

from typing import Any

import transformers

from .rows import Row

_WIDTH = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40, "num_hidden_layers": 3}
_IMAGE = _WIDTH | {"image_size": 20, "patch_size": 4, "layer_norm_eps": 1e-5}
_CLIP = {"vision_config": _IMAGE, "text_config": _WIDTH | {"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2}}
_SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
_ANY = {"interpolate_pos_encoding": True}
# The model's own size, other ones, one that leaves a rest beside its patches, one of a single patch.
_SIZES = ((20, 20), (12, 28), (20, 20), (28, 12), (36, 16), (9, 15), (4, 4))
# Where windows, and squares of four patches that become one, are filled up; the least that there may be.
_PARTIAL_WINDOWS = ((33, 21), (30, 14), (13, 50), (30, 14))
_WHOLE_WINDOWS = ((32, 32), (16, 48), (16, 16), (48, 16), (32, 32), (32, 16))


def _row(config: Any, name: str, keys: dict[str, Any], *, base: str = "Model", expert: str = "", **others: Any) -> Row:
    head = f"{name}ForImageClassification{expert}"
    return Row(config, name + base, head, keys, sizes=others.pop("sizes", _SIZES), **others)


ROWS = {
    "vit": _row(transformers.ViTConfig, "ViT", _IMAGE, keywords=_ANY),
    "vit-masked": _row(transformers.ViTConfig, "ViT", _IMAGE, base="ForMaskedImageModeling", keywords=_ANY),
    "deit": _row(transformers.DeiTConfig, "DeiT", _IMAGE, keywords=_ANY),
    "deit-with-teacher": _row(transformers.DeiTConfig, "DeiT", _IMAGE, expert="WithTeacher", keywords=_ANY),
    "dinov2": _row(transformers.Dinov2Config, "Dinov2", _IMAGE),
    "dinov2-swiglu": _row(transformers.Dinov2Config, "Dinov2", _IMAGE | {"use_swiglu_ffn": True}),
    "clip": _row(transformers.CLIPConfig, "CLIP", _CLIP, keywords=_ANY),
    "clip-tower": Row(
        transformers.CLIPVisionConfig,
        "CLIPVisionModel",
        "CLIPVisionModel",
        _IMAGE,
        sizes=_SIZES,
        keywords=_ANY,
        answer="pooler_output",
    ),
    "clip-tower-projected": Row(
        transformers.CLIPVisionConfig,
        "CLIPVisionModel",
        "CLIPVisionModelWithProjection",
        _IMAGE | {"projection_dim": 10},
        sizes=_SIZES,
        keywords=_ANY,
        answer="image_embeds",
    ),
    "beit": _row(
        transformers.BeitConfig, "Beit", _IMAGE | {"use_relative_position_bias": True, "use_mask_token": True}
    ),
    "beit-shared": _row(
        transformers.BeitConfig,
        "Beit",
        _IMAGE
        | {
            "use_shared_relative_position_bias": True,
            "use_relative_position_bias": True,
            "use_absolute_position_embeddings": True,
        },
        base="ForMaskedImageModeling",
    ),
    "beit-class-token": _row(
        transformers.BeitConfig,
        "Beit",
        _IMAGE | {"use_absolute_position_embeddings": True, "use_mean_pooling": False, "layer_scale_init_value": 0.0},
    ),
    "swin": _row(
        transformers.SwinConfig, "Swin", _SWIN, sizes=_WHOLE_WINDOWS + _PARTIAL_WINDOWS, passes=2 + 0.25 + 2 * 0.25
    ),
    "swin-of-three-stages": _row(
        transformers.SwinConfig,
        "Swin",
        _SWIN | {"depths": [1, 2, 1], "num_heads": [2, 4, 4], "window_size": 3, "qkv_bias": False},
        sizes=((24, 24), (21, 37), (29, 18), (24, 24), (17, 25)),
        passes=1 + 0.25 + 2 * 0.25 + 0.0625 + 0.0625,
    ),
    "swin-absolute": _row(
        transformers.SwinConfig,
        "Swin",
        _SWIN | {"use_absolute_embeddings": True},
        base="ForMaskedImageModeling",
        sizes=_WHOLE_WINDOWS,
        keywords=_ANY,
        passes=2 + 0.25 + 2 * 0.25,
    ),
}
