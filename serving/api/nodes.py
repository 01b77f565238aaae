"""`/v1/nodes`, which tells what every replica serves, and `/admin/v1/budget`, which changes it."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from merge_builder.closed import Closed
from serving.api.bodies import body_of, read_body
from serving.api.schemas.errors import ErrorBody
from serving.fleet import Asked, BudgetSource, Fleet

_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 401, 404, 409, 422, 507)}


class ChangeInfo(Closed):
    """A change of rung: `reached` is the rung that answers since its last step."""

    operation: str
    state: Literal["running", "done", "failed"]
    start: str = Field(serialization_alias="from")
    goal: str = Field(serialization_alias="to")
    reached: str
    bytes_read: int
    seconds: float
    error: str | None


class NodeInfo(Closed):
    """A replica and what it serves; without a rung it is out, and `reason` says why."""

    id: str
    node: str
    group: str | None
    device: str
    address: str
    ready: bool
    budget: int | None = Field(description="Bytes of memory that the rung had to fit, where that decided.")
    budget_source: BudgetSource = Field(
        description="Who last told the budget, or the rung: `config`, the deployed configuration, or `admin`, by "
        "/admin/v1/budget. A restart, or a deploy of another user_config, ends what `admin` told."
    )
    rung: str | None = Field(examples=["#37"])
    ratio: float | None
    bytes: dict[str, int] = Field(description="The rung's memory by who uses it.")
    tasks: list[str]
    reason: str
    change: ChangeInfo | None = Field(description="The last change of its rung.")


class NodeList(Closed):
    """Every replica."""

    nodes: list[NodeInfo]


class BudgetRequest(Closed):
    """A budget, or a rung by name, for one replica, one node, one group of nodes, or all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"budget": "300MiB", "node": "all"}]})

    budget: str | None = Field(None, description="A size such as 300MiB, or a share of the free memory such as 0.8.")
    rung: str | None = Field(None, description="A size ratio such as 2.0, or an index such as #37.")
    node: str = Field("all", description='A replica\'s id, a node, a group of nodes, or "all".')

    @model_validator(mode="after")
    def _one_of_them(self) -> "BudgetRequest":
        if (self.budget is None) == (self.rung is None):
            raise PydanticCustomError("one_of", "send either a budget or a rung")
        return self


class OperationInfo(Closed):
    """A change that has begun at one replica."""

    node: str
    operation: str
    start: str = Field(serialization_alias="from")
    goal: str = Field(serialization_alias="to")


class BudgetResponse(OperationInfo):
    """The change at the first replica, and those at all; `/v1/nodes` tells how far they are."""

    operations: list[OperationInfo]


BODIES: tuple[type[BaseModel], ...] = (BudgetRequest,)


def routes(fleet: Fleet) -> APIRouter:
    """Both routes over `fleet`."""
    router = APIRouter(tags=["nodes"])

    @router.get("/v1/nodes")
    async def nodes() -> NodeList:
        """Every replica: where it runs, its budget, its rung and why, and the last change of its rung."""
        return NodeList(
            nodes=[
                NodeInfo(
                    **{name: value for name, value in asdict(status).items() if name != "change"},
                    change=None if status.change is None else _change(asdict(status.change)),
                )
                for status in await fleet.nodes()
            ]
        )

    @router.post(
        "/admin/v1/budget",
        status_code=202,
        response_model=BudgetResponse,
        responses=_ERRORS,
        openapi_extra=body_of(BudgetRequest),
    )
    async def change_budget(request: Request) -> BudgetResponse:
        """Change the rung of replicas while they answer. All that are meant change, or none."""
        body = await read_body(request, BudgetRequest)
        begun = [
            OperationInfo(node=change.replica, operation=change.operation, start=change.start, goal=change.goal)
            for change in await fleet.change(Asked(body.budget, body.rung), body.node)
        ]
        return BudgetResponse(**dict(begun[0]), operations=begun)

    return router


def _change(change: dict[str, Any]) -> ChangeInfo:
    return ChangeInfo(operation=change.pop("id"), **change)
