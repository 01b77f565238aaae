"""What an input must be for the engine to compute it."""

from merge_builder.errors import InputError
from serving.engine.skeleton import Skeleton
from serving.engine.types import Encoded, Image, Input


def check_input(item: Input, max_length: int, skeleton: Skeleton) -> None:
    """Refuse an input that cannot be computed, of which at most `max_length` tokens are taken.

    Raises:
        InputError: of a text no tokens, too many, or ids out of range; an image where the ladder is of texts or the
            other way round, or one of another size than it says.
    """
    if isinstance(item, Image):
        if item.length != (tokens := count_tokens(skeleton, *item.pixels.shape[1:])):
            raise InputError(f"an image of this size has {tokens} tokens, not {item.length}")
    elif skeleton.family.modality == "image":
        raise InputError("this ladder is of images, and an input is a text")
    else:
        _check_text(item, max_length, skeleton)


def count_tokens(skeleton: Skeleton, height: int, width: int) -> int:
    """As `Engine.image_tokens`."""
    count = skeleton.family.image_tokens
    if count is None:
        raise InputError("this ladder is of texts, and an input is an image")
    return count(skeleton.config, height, width)


def _check_text(item: Encoded, max_length: int, skeleton: Skeleton) -> None:
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
