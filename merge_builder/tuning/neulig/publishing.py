"""Write a ladder with its router: the ladder as it is, tuned or not, a file more, and what the manifest tells of it."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from merge_builder.card import refresh_card
from merge_builder.checkpoints import TensorWriter
from merge_builder.checkpoints.new_folder import new_folder
from merge_builder.errors import InputError
from merge_builder.ladder import Ladder, Manifest, additions, open_ladder
from merge_builder.ladder.router import Router, router_specs
from merge_builder.ladder.store import ROUTER, write_manifest
from merge_builder.tuning.neulig.router_report import RouterReport
from merge_builder.tuning.publish import link


def publish_router(
    ladder: Ladder, out: Path, router: Router | None, report: RouterReport, max_length: int, data: Mapping[str, str]
) -> Ladder:
    """Write `ladder` into the new folder `out`, with `router` if there is one, in place of any that it has; the router
    counts in every rung's bytes.

    What stays is linked, or copied where the file system has no links. The folder appears whole or not at all.

    Raises:
        InputError: `out` exists already, or is within the ladder.
        MergeLadderError: writing failed.
    """
    if ladder.root.resolve() in out.resolve().parents:
        raise InputError(f"{out} is within the ladder {ladder.root}: choose a folder elsewhere")
    with new_folder(out) as folder:
        shutil.copytree(ladder.root, folder, copy_function=link, dirs_exist_ok=True)
        manifest = ladder.manifest
        if router is not None:
            specs = router_specs(len(router.tokens), len(router.tasks))
            with TensorWriter(folder / ROUTER, specs) as writer:
                writer.write(router.tokens)
                writer.write(router.bias)
                digest = writer.finish()
            entry = additions.Router(
                bytes=router.nbytes,
                tensors=specs,
                sha256=digest,
                max_length=max_length,
                seed=report.seed,
                data=dict(data),
                accuracy=report.accuracy,
                interval=report.interval,
                tasks=dict(report.tasks),
            )
            manifest = _with_router(manifest, entry)
            refresh_card(folder, ladder.manifest, manifest)
            write_manifest(folder, manifest)
    return open_ladder(out)


def _with_router(manifest: Manifest, router: additions.Router) -> Manifest:
    revision = hashlib.sha256(f"{manifest.revision}{router.sha256}".encode()).hexdigest()[:12]
    more = router.bytes - (manifest.router.bytes if manifest.router is not None else 0)
    rungs = tuple(rung.model_copy(update={"bytes": rung.bytes + more}) for rung in manifest.rungs)
    return manifest.model_copy(update={"revision": revision, "rungs": rungs, "router": router})
