"""CLIP's vision tower: pre-norm encoder layers behind a patch projection, a class token and positions.

A text tower and projections, where a checkpoint has them, are not merged. Base and experts may be whole models or
towers.
"""

from merge_builder.blocks.layout import Layout, Rule

LAYER = r"encoder\.layers\.(\d+)\."
BESIDES = r"(?:classifier|text_model|text_projection|visual_projection)\..+|logit_scale"

CLIP = Layout(
    model_types=("clip", "clip_vision_model"),
    prefix="vision_model.",
    rules=(
        Rule(
            r"embeddings\.(?:class_embedding|patch_embedding\.weight|position_embedding\.weight)",
            "embeddings",
            "embeddings",
        ),
        Rule(r"pre_layrnorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(LAYER + r"layer_norm1\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"self_attn\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"layer_norm2\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(LAYER + r"mlp\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(r"post_layernorm\.(?:weight|bias)", "norm", "norm"),
    ),
    # Old checkpoints store the positions' numbers.
    head=rf"{BESIDES}|embeddings\.position_ids",
    outside=BESIDES,
    same=("num_attention_heads", "hidden_act", "layer_norm_eps", "image_size", "patch_size"),
    part="vision_config",
)
