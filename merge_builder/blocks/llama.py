"""Llama and its like (Mistral, Qwen2, Qwen3): pre-norm decoder layers, with or without a language-model head."""

from merge_builder.blocks.layout import Layout, Rule, Tied

LAYER = r"layers\.(\d+)\."
HEADS = r"(?:score|classifier|qa_outputs)\..+"

LLAMA = Layout(
    model_types=("llama", "mistral", "qwen2", "qwen3"),
    prefix="model.",
    rules=(
        Rule(r"embed_tokens\.weight", "embeddings", "embeddings"),
        Rule(LAYER + r"input_layernorm\.weight", "layers.{0}", "layers.{0}.attention.norm"),
        Rule(LAYER + r"self_attn\.[qkvo]_(?:proj|norm)\..+", "layers.{0}", "layers.{0}.attention"),
        Rule(LAYER + r"post_attention_layernorm\.weight", "layers.{0}", "layers.{0}.feed_forward.norm"),
        Rule(LAYER + r"mlp\.(?:gate|up|down)_proj\..+", "layers.{0}", "layers.{0}.feed_forward"),
        Rule(r"norm\.weight", "norm", "norm"),
        Rule(r"lm_head\.(?:weight|bias)", "lm_head", "lm_head"),
    ),
    # Old checkpoints store the rotary frequencies, a buffer that follows from the config.
    head=HEADS + r"|layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    optional=r"lm_head\..+",
    optional_in=r"\w+ForCausalLM",
    outside=HEADS + r"|lm_head\..+",
    same=(
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_act",
        "rms_norm_eps",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "sliding_window",
        "tie_word_embeddings",
    ),
    tied=(Tied("lm_head.weight", "embed_tokens.weight", default=False),),
)
