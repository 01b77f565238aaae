"""DeBERTa-v2 and v3: BERT's layers, with relative positions that all of them use; v2 has a convolution besides."""

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"encoder\.layer\.(\d+)\."
HEADS = r"(?:pooler|classifier|qa_outputs|cls|lm_predictions|mask_predictions)\..+"

DEBERTA_V2 = Layout(
    model_types=("deberta-v2",),
    prefix="deberta.",
    rules=(
        Rule(r"embeddings\.(?:word|position|token_type)_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.LayerNorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(r"embeddings\.embed_proj\.weight", "embeddings", "embeddings.projection"),
        Rule(r"encoder\.rel_embeddings\.weight", "relative_positions", "relative_positions"),
        Rule(r"encoder\.LayerNorm\.(?:weight|bias)", "relative_positions", "relative_positions.norm"),
        Rule(r"encoder\.conv\.conv\.(?:weight|bias)", "convolution", "convolution"),
        Rule(r"encoder\.conv\.LayerNorm\.(?:weight|bias)", "convolution", "convolution.norm"),
        Rule(LAYER + r"attention\.(?:self|output\.dense)\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"attention\.output\.LayerNorm\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"(?:intermediate|output)\.dense\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(LAYER + r"output\.LayerNorm\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
    ),
    head=rf"{HEADS}|embeddings\.position_ids",
    # Published bases may hold positions that their config does not use, and fine-tunes are saved without them.
    optional=r"embeddings\.position_embeddings\..+",
    optional_in=r"\w+",
    outside=HEADS,
    # `pos_att_type` is written in two ways, and shows in the names of the tensors.
    same=(
        "num_attention_heads",
        "hidden_act",
        "layer_norm_eps",
        "relative_attention",
        "position_buckets",
        "max_relative_positions",
        "share_att_key",
        "norm_rel_ebd",
        "conv_act",
        "conv_groups",
        "position_biased_input",
    ),
    tied=(
        Tied("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight", default=True),
        Tied("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ),
    # The engine's name for it: the convolution stands beside the first layer.
    renamed=((r"^encoder\.layer\.0\.conv\.", "encoder.conv."),),
)
