import pytest

from merge_builder.errors import InputError
from merge_builder.ladder.kinds import has_labels, kind_of, kind_told
from merge_builder.ladder.manifest import Embedding, Head, Task


def make_task(architecture: str | None, labels: tuple[str, ...] = (), embedding: Embedding | None = None) -> Task:
    config = {} if architecture is None else {"architectures": [architecture]}
    head = Head(bytes=0, tensors=(), sha256="0" * 64)
    return Task(name="one", labels=labels, max_length=None, head=head, config=config, embedding=embedding)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("BertForSequenceClassification", "classification"),
        ("Dinov2ForImageClassification", "classification"),
        ("XLMRobertaForTokenClassification", "token_classification"),
        ("DistilBertForQuestionAnswering", "question_answering"),
        ("BertModel", "embedding"),
        ("DebertaV2Model", "embedding"),
    ],
)
def test_a_kind_is_told_by_the_architecture(architecture: str, kind: str) -> None:
    task = make_task(architecture)
    assert kind_of(task) == kind_told(task) == kind
    assert has_labels(task.config) == kind.endswith("classification")


def test_without_an_architecture_labels_tell() -> None:
    assert kind_of(make_task(None, ("no", "yes"))) == "classification"
    assert kind_of(make_task(None)) == "embedding"


def test_a_sentence_transformers_folder_is_an_embedding_whatever_its_config_says() -> None:
    task = make_task("MPNetForMaskedLM", embedding=Embedding(pooling="mean", normalise=True))
    assert kind_of(task) == "embedding"


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "T5ForConditionalGeneration", "BertForMultipleChoice"])
def test_other_heads_are_named(architecture: str) -> None:
    task = make_task(architecture, ("LABEL_0",))
    with pytest.raises(InputError, match=f"task one is a {architecture}, which can be merged .* not asked"):
        kind_of(task)
    assert kind_told(task) == architecture
