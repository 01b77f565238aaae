"""What every reader of weights is given: a tensor that lies in files and is read by ranges."""

from typing import Any, Protocol

from numpy.typing import NDArray

from merge_builder.checkpoints.tensor_file import TensorFile


class Readable(Protocol):
    """A tensor that is read by ranges, wherever its values come from."""

    @property
    def dtype(self) -> str:
        """By safetensors' name, such as `BF16`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""

    @property
    def size(self) -> int:
        """Number of elements."""

    @property
    def nbytes(self) -> int:
        """Payload bytes."""

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Elements `start` to `stop` of the flattened tensor, in its own dtype, as a fresh array.

        Raises:
            InputError: a file ended early.
        """


class StoredTensor(Readable, Protocol):
    """A tensor on disk: as it is (`FileTensor`), or folded from several when it is read (an adapter's)."""

    @property
    def file(self) -> TensorFile:
        """The file that makes it what it is."""

    @property
    def name(self) -> str:
        """What that file, or the model it belongs to, calls it."""
