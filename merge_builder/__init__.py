"""The offline builder: M fine-tuned checkpoints of one base in, a ladder of every merged size out.

    from merge_builder import build, load_recipe, open_ladder

Imports neither Ray nor a web framework, and torch only where a method asks for it.
"""
