"""ALBERT: post-norm layers that are stored once and gone through several times, behind narrow embeddings."""

from merge_builder.blocks.bert import BUFFERS
from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"encoder\.albert_layer_groups\.(\d+)\.albert_layers\.(\d+)\."
HEADS = r"(?:classifier|qa_outputs|predictions|sop_classifier)\..+"

ALBERT = Layout(
    model_types=("albert",),
    prefix="albert.",
    rules=(
        Rule(r"embeddings\.(?:word|position|token_type)_embeddings\.weight", "embeddings", "embeddings"),
        Rule(r"embeddings\.LayerNorm\.(?:weight|bias)", "embeddings", "embeddings.norm"),
        Rule(r"encoder\.embedding_hidden_mapping_in\.(?:weight|bias)", "embeddings", "embeddings.projection"),
        Rule(LAYER + r"attention\.(?:query|key|value|dense)\..+", "layers.{0}.{1}", "layers.{0}.{1}.attention"),
        Rule(LAYER + r"attention\.LayerNorm\..+", "layers.{0}.{1}", "layers.{0}.{1}.attention.norm"),
        Rule(LAYER + r"(?:ffn|ffn_output)\..+", "layers.{0}.{1}", "layers.{0}.{1}.feed_forward"),
        Rule(LAYER + r"full_layer_layer_norm\..+", "layers.{0}.{1}", "layers.{0}.{1}.feed_forward.norm"),
        Rule(r"pooler\.(?:weight|bias)", "pooler", "pooler"),
    ),
    head=rf"{HEADS}|{BUFFERS}",
    optional=r"pooler\..+",
    optional_in=r"Albert(?:Model|For(?:SequenceClassification|MultipleChoice|PreTraining))",
    outside=HEADS,
    # The weights do not tell how often they are gone through.
    same=(
        "num_hidden_layers",
        "num_hidden_groups",
        "inner_group_num",
        "num_attention_heads",
        "hidden_act",
        "layer_norm_eps",
    ),
    tied=(
        Tied("predictions.decoder.weight", "embeddings.word_embeddings.weight", default=True),
        Tied("predictions.decoder.bias", "predictions.bias"),
    ),
)
