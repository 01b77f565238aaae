"""MPNet: BERT's layers, with a table of relative positions that all of them use."""

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"encoder\.layer\.(\d+)\."
HEADS = r"(?:classifier|qa_outputs|lm_head)\..+"

MPNET = Layout(
    model_types=("mpnet",),
    prefix="mpnet.",
    rules=(
        Rule(r"embeddings\.(?:word|position)_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.LayerNorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(r"encoder\.relative_attention_bias\.weight", "relative_positions", "relative_positions"),
        Rule(LAYER + r"attention\.attn\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"attention\.LayerNorm\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"(?:intermediate|output)\.dense\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(LAYER + r"output\.LayerNorm\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(r"pooler\.dense\.(?:weight|bias)", "pooler", "pooler"),
    ),
    head=rf"{HEADS}|embeddings\.position_ids",
    optional=r"pooler\..+",
    optional_in=r"MPNet(?:Model|ForMultipleChoice)",
    outside=HEADS,
    same=("num_attention_heads", "hidden_act", "layer_norm_eps"),
    tied=(
        Tied("lm_head.decoder.weight", "embeddings.word_embeddings.weight", default=True),
        Tied("lm_head.decoder.bias", "lm_head.bias"),
    ),
)
