"""The recipe: what to merge and how, as YAML with a closed schema.

base: path-or-hub-id
tasks:
  sst2: {model: path-or-hub-id}
method: {name: task_arithmetic, scale: 1.0}
blocks: sublayer
linkage: min
vocabulary: same         # or pad: experts may have tokens of their own, and tables get rows of zeros for the others'
dtype: bfloat16          # of merged versions; left out: their experts' own. An expert's own weights stay as they came
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from merge_builder.blocks import Granularity
from merge_builder.closed import Closed
from merge_builder.errors import InputError
from merge_builder.ladder.fields import TaskName
from merge_builder.ladder.manifest import MethodUse
from merge_builder.linkage import Linkage, Priorities
from merge_builder.methods import check_parameters, find_method
from merge_builder.methods.dare import Dare
from merge_builder.names import nearest
from merge_builder.yaml_file import read_yaml


class Expert(Closed):
    """One task: its fine-tuned model (a folder, relative to the recipe, or a hub id) and how far it is to be spared.

    A `weight` above 1 makes its merges come later; `pin` makes them come last of all. `fisher` is a file of Fisher
    values, for the method of that name.
    """

    model: str = Field(min_length=1)
    weight: float = Field(default=1.0, gt=0, le=1000, allow_inf_nan=False)
    pin: bool = False
    fisher: str | None = None


class Recipe(Closed):
    """A checked recipe. `method` holds its name and its parameters side by side, as in the YAML.

    A recipe that names no method gets the product's own, `blend` along `sum`, the best without data (see
    docs/results.md); one that names a method gets the published trace, `min`, unless it says otherwise.

    With the `objective` compute, merges that let tasks share whole stages go first among nearly equal ones.

    With the `vocabulary` pad, experts may have added tokens: every embedding table gets rows of zeros for the tokens
    that it lacks, and the tokenizer is that of the expert with most.

    `dtype` is how merged versions are stored (default: the widest of their experts' own). Groups of one stay the
    expert's own weights bit for bit, in the expert's dtype.
    """

    base: str = Field(min_length=1)
    tasks: dict[TaskName, Expert] = Field(min_length=1)
    method: dict[str, Any] = Field(default_factory=lambda: {"name": "blend"})
    blocks: Granularity = "sublayer"
    linkage: Linkage = "sum"
    objective: Literal["size", "compute"] = "size"
    vocabulary: Literal["same", "pad"] = "same"
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """Where relative paths start: the recipe's own folder."""
        return self._folder

    @property
    def method_use(self) -> MethodUse:
        """The method with every parameter written out."""
        given = {key: value for key, value in self.method.items() if key not in ("name", "dare")}
        method = find_method(str(self.method["name"]))
        parameters = check_parameters(method, given)
        if self.dare is not None:
            parameters["dare"] = self.dare.model_dump()
        return MethodUse(name=method.name, parameters=parameters)

    @property
    def priorities(self) -> Priorities:
        """The tasks' weights and pins, by index."""
        experts = self.tasks.values()
        return Priorities(tuple(e.weight for e in experts), frozenset(i for i, e in enumerate(experts) if e.pin))

    @property
    def dare(self) -> Dare | None:
        """DARE in front of the method, where `method` has the key `dare`."""
        return None if "dare" not in self.method else Dare.model_validate(self.method["dare"])

    @model_validator(mode="before")
    @classmethod
    def _published_trace_for_a_named_method(cls, document: Any) -> Any:
        if isinstance(document, dict) and "method" in document and "linkage" not in document:
            return document | {"linkage": "min"}
        return document

    @model_validator(mode="after")
    def _method_exists(self) -> "Recipe":
        if "name" not in self.method:
            raise InputError("method has no name: write method: {name: task_arithmetic, scale: 1.0}")
        method = find_method(self.method_use.name)
        lacking = [task for task, expert in self.tasks.items() if expert.fisher is None]
        if "fisher" in method.inputs and lacking:
            raise InputError(
                f"method {method.name} needs a file of Fisher values: tasks.{lacking[0]}.fisher is missing"
            )
        return self


def load_recipe(path: Path) -> Recipe:
    """Read the recipe at `path`.

    Raises:
        InputError: unreadable, not YAML, or not a recipe: names the key and, if unknown, the nearest valid one.
    """
    document = read_yaml(path)
    try:
        recipe = parse_recipe(document)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    recipe._folder = path.resolve().parent
    return recipe


def parse_recipe(document: Any) -> Recipe:
    """A recipe from parsed YAML; relative paths start at the current folder.

    Raises:
        InputError: as `load_recipe`.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(_explain(error)) from error


# By the key that holds something else: what is to stand there.
_SHAPES = {
    "the recipe": "the keys base and tasks, each with a colon",
    "tasks": "{reviews: {model: models/reviews}}",
    "method": "{name: blend}",
}


def _explain(error: ValidationError) -> str:
    # A mistyped key is also a missing one: telling of the typo helps.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"]) or "the recipe"
    if first["type"] == "extra_forbidden":
        model = Expert if first["loc"][0] == "tasks" else Recipe
        key = str(first["loc"][-1])
        return f"unknown key {where!r}{nearest(key, model.model_fields)} (known: {', '.join(model.model_fields)})"
    if first["type"] == "missing":
        return f"the key {where!r} is missing"
    if where.endswith("[key]"):
        allowed = "letters, digits, '_', '.' and '-', 64 at most"
        return f"{first['loc'][1]!r} cannot be a task's name: {allowed}; a number, true or no goes into quotes"
    if first["type"] in ("dict_type", "model_type"):
        shape = _SHAPES.get(where) or f"{{model: models/{first['loc'][-1]}}}"
        return f"{where}: write {shape}"
    return f"{where}: {first['msg']}"
