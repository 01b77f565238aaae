"""ViT, DeiT and DINOv2: pre-norm encoder layers behind a patch projection, a class token and positions."""

from dataclasses import replace

from merge_builder.blocks.layout import Layout, Rule

LAYER = r"encoder\.layer\.(\d+)\."
HEADS = r"(?:\w*classifier|decoder)\..+"
ATTENTION = (
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
)

VIT = Layout(
    model_types=("vit",),
    prefix="vit.",
    rules=(
        Rule(
            r"embeddings\.(?:\w+_token|position_embeddings|patch_embeddings\.projection\..+)",
            "embeddings",
            "embeddings",
        ),
        Rule(LAYER + r"(?:layernorm_before|norm1)\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"(?:attention|layer_scale1)\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"(?:layernorm_after|norm2)\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(
            LAYER + r"(?:(?:intermediate|output)\.dense|mlp|layer_scale2)\..+", "layers.{0}", "layers.{0}.feed_forward"
        ),
        Rule(r"layernorm\.(?:weight|bias)", "norm", "norm"),
        Rule(r"pooler\.dense\.(?:weight|bias)", "pooler", "pooler"),
    ),
    head=HEADS,
    # The mask token serves masked pre-training alone.
    optional=r"pooler\..+|embeddings\.mask_token",
    optional_in=r"(?:ViT|DeiT)Model",
    outside=HEADS,
    same=("num_attention_heads", "hidden_act", "layer_norm_eps", "image_size", "patch_size", "use_swiglu_ffn"),
    renamed=(
        (r"^layers\.", "encoder.layer."),
        *ATTENTION,
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ),
)

DEIT = replace(VIT, model_types=("deit",), prefix="deit.")
DINOV2 = replace(VIT, model_types=("dinov2",), prefix="dinov2.", optional_in=r"\w+", renamed=ATTENTION)
