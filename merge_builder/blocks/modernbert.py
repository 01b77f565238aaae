"""ModernBERT: pre-norm encoder layers with fused projections and gated feed-forwards; positions are rotary."""

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"layers\.(\d+)\."
HEADS = r"(?:head|classifier|decoder)\..+"

MODERNBERT = Layout(
    model_types=("modernbert",),
    prefix="model.",
    rules=(
        Rule(r"embeddings\.tok_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.norm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(LAYER + r"attn_norm\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"attn\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"mlp_norm\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(LAYER + r"mlp\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(r"final_norm\.(?:weight|bias)", "norm", "norm"),
    ),
    head=HEADS,
    outside=HEADS,
    # The head of the masked language model is that of classifiers, up to the last layer.
    taken_over=r"head\..+",
    same=(
        "num_attention_heads",
        "hidden_activation",
        "norm_eps",
        "local_attention",
        "layer_types",
        "global_attn_every_n_layers",
        "rope_parameters",
        "global_rope_theta",
        "local_rope_theta",
    ),
    tied=(Tied("decoder.weight", "embeddings.tok_embeddings.weight", default=True),),
)
