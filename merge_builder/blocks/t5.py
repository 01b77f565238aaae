"""T5, mT5 and Flan-T5: pre-norm encoder and decoder stacks over one shared embedding table."""

from merge_builder.blocks.layout import Layout, Rule, Tied

ENCODER = r"encoder\.block\.(\d+)\.layer\."
DECODER = r"decoder\.block\.(\d+)\.layer\."
HEADS = r"(?:classification_head|classifier|qa_outputs)\..+"

T5 = Layout(
    model_types=("t5", "mt5"),
    prefix="transformer.",
    rules=(
        Rule(r"shared\.weight", "embeddings", "embeddings"),
        # The first layer's attention holds the relative positions of its whole stack.
        Rule(ENCODER + r"0\.layer_norm\.weight", "encoder.{0}", "encoder.{0}.attention.norm"),
        Rule(ENCODER + r"0\.SelfAttention\..+", "encoder.{0}", "encoder.{0}.attention"),
        Rule(ENCODER + r"1\.layer_norm\.weight", "encoder.{0}", "encoder.{0}.feed_forward.norm"),
        Rule(ENCODER + r"1\.DenseReluDense\..+", "encoder.{0}", "encoder.{0}.feed_forward"),
        Rule(r"encoder\.final_layer_norm\.weight", "encoder.norm", "encoder.norm"),
        Rule(DECODER + r"0\.layer_norm\.weight", "decoder.{0}", "decoder.{0}.attention.norm"),
        Rule(DECODER + r"0\.SelfAttention\..+", "decoder.{0}", "decoder.{0}.attention"),
        Rule(DECODER + r"1\.layer_norm\.weight", "decoder.{0}", "decoder.{0}.cross_attention.norm"),
        Rule(DECODER + r"1\.EncDecAttention\..+", "decoder.{0}", "decoder.{0}.cross_attention"),
        Rule(DECODER + r"2\.layer_norm\.weight", "decoder.{0}", "decoder.{0}.feed_forward.norm"),
        Rule(DECODER + r"2\.DenseReluDense\..+", "decoder.{0}", "decoder.{0}.feed_forward"),
        Rule(r"decoder\.final_layer_norm\.weight", "decoder.norm", "decoder.norm"),
        Rule(r"lm_head\.weight", "lm_head", "lm_head"),
    ),
    head=HEADS,
    # Old checkpoints hold relative positions for cross attention, which no release uses.
    optional=r"lm_head\.weight|decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
    optional_in=r"\w+ForConditionalGeneration",
    outside=HEADS + r"|lm_head\.weight",
    same=(
        "num_heads",
        "d_kv",
        "feed_forward_proj",
        "layer_norm_epsilon",
        "relative_attention_num_buckets",
        "relative_attention_max_distance",
    ),
    tied=(
        Tied("encoder.embed_tokens.weight", "shared.weight"),
        Tied("decoder.embed_tokens.weight", "shared.weight"),
        Tied("lm_head.weight", "shared.weight", default=True),
    ),
)
