"""BEiT: ViT with relative positions, in each layer or in one table for all, and layer scales."""

from dataclasses import replace

from merge_builder.blocks.layout import Rule
from merge_builder.blocks.vit import LAYER, VIT

HEADS = r"(?:classifier|lm_head|decode_head|auxiliary_head|fpn\d)\..+"
# Old checkpoints store what follows from the size of the window.
BUFFERS = r".+\.relative_position_index"

BEIT = replace(
    VIT,
    model_types=("beit",),
    prefix="beit.",
    rules=(
        VIT.rules[0],
        Rule(r"encoder\.relative_position_bias\..+", "embeddings", "relative_positions"),
        Rule(LAYER + r"layernorm_before\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"(?:attention\..+|lambda_1)", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"layernorm_after\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(LAYER + r"(?:(?:intermediate|output)\.dense\..+|lambda_2)", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(r"layernorm\.(?:weight|bias)", "norm", "norm"),
        Rule(r"pooler\.layernorm\.(?:weight|bias)", "pooler", "pooler"),
    ),
    head=rf"{HEADS}|{BUFFERS}",
    # Pre-training has a last norm of its own and no pooler.
    optional=r"(?:pooler|layernorm)\..+|embeddings\.mask_token",
    optional_in=r"Beit(?:Model|ForImageClassification)",
    outside=HEADS,
    same=("num_attention_heads", "hidden_act", "layer_norm_eps", "image_size", "patch_size", "use_mean_pooling"),
    renamed=(
        (r"^shared_position_bias\.", "encoder.relative_position_bias."),
        *VIT.renamed,
        (r"^(encoder\.layer\.\d+)\.relative_position_bias\.", r"\1.attention.attention.relative_position_bias."),
    ),
)
