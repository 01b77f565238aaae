"""BERT and its like (RoBERTa, ELECTRA): post-norm encoder layers behind three embedding tables."""

from dataclasses import replace

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"encoder\.layer\.(\d+)\."
# Old checkpoints store two integer buffers; they travel with the head so that an export gives them back.
BUFFERS = r"embeddings\.(?:position_ids|token_type_ids)"
HEADS = r"(?:classifier|qa_outputs|cls)\..+"

BERT = Layout(
    model_types=("bert",),
    prefix="bert.",
    rules=(
        Rule(r"embeddings\.(?:word|position|token_type)_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.LayerNorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(r"embeddings_project\.(?:weight|bias)", "embeddings", "embeddings.projection"),
        Rule(LAYER + r"attention\.(?:self|output\.dense)\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"attention\.output\.LayerNorm\..+", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"(?:intermediate|output)\.dense\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(LAYER + r"output\.LayerNorm\..+", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(r"pooler\.dense\.(?:weight|bias)", "pooler", "pooler"),
    ),
    head=rf"{HEADS}|{BUFFERS}",
    optional=r"pooler\..+",
    optional_in=r"Bert(?:Model|For(?:SequenceClassification|MultipleChoice|NextSentencePrediction|PreTraining))",
    outside=HEADS,
    same=("num_attention_heads", "hidden_act", "layer_norm_eps", "position_embedding_type"),
    tied=(
        Tied("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight", default=True),
        Tied("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ),
)

ROBERTA_HEADS = r"(?:classifier|qa_outputs|lm_head)\..+"
ROBERTA = replace(
    BERT,
    model_types=("roberta", "xlm-roberta", "camembert"),
    prefix="roberta.",
    head=rf"{ROBERTA_HEADS}|{BUFFERS}",
    optional_in=r"\w+(?:Model|ForMultipleChoice)",
    outside=ROBERTA_HEADS,
    same=(*BERT.same, "pad_token_id"),  # positions are counted from it
    tied=(
        Tied("lm_head.decoder.weight", "embeddings.word_embeddings.weight", default=True),
        Tied("lm_head.decoder.bias", "lm_head.bias"),
    ),
)

ELECTRA_HEADS = r"(?:classifier|qa_outputs|discriminator_predictions|generator_predictions|generator_lm_head)\..+"
ELECTRA = replace(
    BERT,
    model_types=("electra",),
    prefix="electra.",
    head=rf"{ELECTRA_HEADS}|{BUFFERS}",
    optional_in=r"ElectraForMultipleChoice",
    outside=ELECTRA_HEADS,
    tied=(Tied("generator_lm_head.weight", "embeddings.word_embeddings.weight", default=True),),
)
