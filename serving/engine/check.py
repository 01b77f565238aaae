"""What a tokenised text must be for the engine to compute it."""

from merge_builder.errors import InputError
from serving.engine.skeleton import Skeleton
from serving.engine.types import Encoded


def check_text(item: Encoded, max_length: int, skeleton: Skeleton) -> None:
    """Refuse a text that cannot be computed.

    Raises:
        InputError: no tokens, more than `max_length`, or ids out of range.
    """
    ids, types = item.input_ids, item.token_type_ids
    if not ids or len(types) != len(ids):
        raise InputError(f"an input has {len(ids)} token ids and {len(types)} token type ids: give one of each a token")
    if len(ids) > max_length:
        raise InputError(f"an input has {len(ids)} tokens and at most {max_length} are taken: shorten it")
    for what, values, bound in (
        ("token id", ids, skeleton.vocabulary),
        ("token type id", types, skeleton.token_types),
    ):
        if bound is not None and (min(values) < 0 or max(values) >= bound):
            raise InputError(f"an input has a {what} out of range: they run from 0 to {bound - 1}")
