"""A folder of experts as a recipe's ladder, and their rows of text or images as `mergeladder evaluate` reads them."""

from pathlib import Path

import yaml
from images import write_images

from deploy.demo.base import base_model
from merge_builder.build import build
from merge_builder.ladder import Ladder
from merge_builder.progress import silent
from merge_builder.recipe import Recipe, load_recipe


def suite_ladder(experts: Path, base: Path | None, work: Path) -> tuple[Ladder, Recipe]:
    """The product's own ladder of all experts, in `work`, and its recipe; of the demo's base, if none is given."""
    work.mkdir(parents=True, exist_ok=True)
    tasks = {task: {"model": str((experts / task).resolve())} for task in _tasks(experts)}
    path = work / "recipe.yaml"
    path.write_text(yaml.safe_dump({"base": str((base or base_model(silent)).resolve()), "tasks": tasks}))
    recipe = load_recipe(path)
    return build(recipe, work / "untuned", threads=1), recipe


def suite_rows(experts: Path, data: Path, out: Path, rows: int | None = None) -> Path:
    """The data file of the first `rows` (all, if not given) of each task, of the split that the folder `out` names."""
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for task in _tasks(experts):
        if (images := data / f"{task}.npz").exists():
            files[task] = write_images(images, out, out.name, rows)
        else:
            lines = (data / task / f"{out.name}.jsonl").read_text(encoding="utf-8").splitlines()
            files[task] = f"{task}.jsonl"
            (out / files[task]).write_text("\n".join(lines[:rows]), encoding="utf-8")
    path = out / "data.yaml"
    path.write_text(yaml.safe_dump({"tasks": files}))
    return path


def _tasks(experts: Path) -> list[str]:
    return sorted(path.parent.name for path in experts.glob("*/config.json"))
