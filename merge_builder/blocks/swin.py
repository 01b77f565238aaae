"""Swin: stages of pre-norm layers over windows; between two stages, four patches are merged into one."""

from merge_builder.blocks.layout import Layout, Rule

LAYER = r"encoder\.layers\.(\d+)\.blocks\.(\d+)\."
HEADS = r"(?:classifier|decoder)\..+"
# Old checkpoints store what follows from the sizes of window and image.
BUFFERS = r".+\.(?:relative_position_index|attn_mask)"

SWIN = Layout(
    model_types=("swin",),
    prefix="swin.",
    rules=(
        Rule(
            r"embeddings\.(?:mask_token|position_embeddings|patch_embeddings\.projection\..+)",
            "embeddings",
            "embeddings",
        ),
        Rule(r"embeddings\.norm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(LAYER + r"layernorm_before\..+", "layers.{0}.{1}", "layers.{0}.{1}.attention.norm"),
        Rule(LAYER + r"attention\..+", "layers.{0}.{1}", "layers.{0}.{1}.attention"),
        Rule(LAYER + r"layernorm_after\..+", "layers.{0}.{1}", "layers.{0}.{1}.feed_forward.norm"),
        Rule(LAYER + r"(?:intermediate|output)\.dense\..+", "layers.{0}.{1}", "layers.{0}.{1}.feed_forward"),
        Rule(r"encoder\.layers\.(\d+)\.(downsample)\.norm\..+", "layers.{0}.{1}", "layers.{0}.{1}.norm"),
        Rule(r"encoder\.layers\.(\d+)\.(downsample)\.reduction\..+", "layers.{0}.{1}", "layers.{0}.{1}"),
        Rule(r"layernorm\.(?:weight|bias)", "norm", "norm"),
    ),
    head=rf"{HEADS}|{BUFFERS}",
    optional=r"embeddings\.mask_token",
    optional_in=r"SwinForMaskedImageModeling",
    outside=HEADS,
    same=("num_heads", "depths", "hidden_act", "layer_norm_eps", "image_size", "patch_size", "window_size"),
    renamed=(
        (r"\.attention\.q_proj\.", ".attention.self.query."),
        (r"\.attention\.k_proj\.", ".attention.self.key."),
        (r"\.attention\.v_proj\.", ".attention.self.value."),
        (r"\.attention\.o_proj\.", ".attention.output.dense."),
        (r"\.attention\.relative_position_bias\.", ".attention.self."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ),
)
