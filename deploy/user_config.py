"""What of a deployment may change while it runs: Ray Serve's `user_config`, as a closed schema.

{"budget": "300MiB"}
{"groups": {"t4": {"budget": "13GiB"}, "a100": {"budget": "0.9"}}, "floors": {"medical": "2.0"}}
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.sizing import Sizing
from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, RungSize, select
from merge_builder.names import nearest


class UserConfig(BaseModel):
    """A budget or a rung for every node (neither: its memory decides), and others for groups of nodes.

    A group is what the nodes' label `mergeladder.io/group` says. `floors` names, for a task, the smallest rung that
    may answer it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
    budget: str | None = None
    rung: str | None = None
    groups: dict[str, Sizing] = Field(default_factory=dict)
    floors: dict[str, str] = Field(default_factory=dict)

    def sizing(self, group: str | None) -> Sizing:
        """What holds on a node of `group`."""
        own = self.groups.get(group) if group is not None else None
        return own or Sizing(budget=self.budget, rung=self.rung)


def read_user_config(document: dict[str, Any]) -> UserConfig:
    """`document` as a UserConfig.

    Raises:
        InputError: it is none; the message names the key.
    """
    try:
        return UserConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"user_config.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def floors_of(config: UserConfig, manifest: Manifest) -> dict[str, RungSize]:
    """Each task's floor as a rung of the ladder.

    Raises:
        InputError: the ladder has no such task, or no such rung.
    """
    tasks = [task.name for task in manifest.tasks]
    for task in config.floors:
        if task not in tasks:
            raise InputError(f"user_config.floors: this ladder has no task {task!r}{nearest(task, tasks)}")
    return {task: select(manifest, rung) for task, rung in config.floors.items()}
