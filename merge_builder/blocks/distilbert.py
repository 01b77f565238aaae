"""DistilBERT: BERT's layers under other names, without token types and pooler."""

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"transformer\.layer\.(\d+)\."
HEADS = r"(?:pre_classifier|classifier|qa_outputs|vocab_(?:transform|layer_norm|projector))\..+"

DISTILBERT = Layout(
    model_types=("distilbert",),
    prefix="distilbert.",
    rules=(
        Rule(r"embeddings\.(?:word|position)_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.LayerNorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(LAYER + r"attention\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"sa_layer_norm\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"ffn\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(LAYER + r"output_layer_norm\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
    ),
    head=rf"{HEADS}|embeddings\.position_ids",
    outside=HEADS,
    same=("n_heads", "activation", "sinusoidal_pos_embds"),
    tied=(Tied("vocab_projector.weight", "embeddings.word_embeddings.weight", default=True),),
)
