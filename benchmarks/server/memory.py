"""The memory of whole servers, each by itself: ours with a ladder, and plain FastAPI with a model a task.

    python benchmarks/server/memory.py --ladder LADDER --experts EXPERTS --data DATA

Each answers two hundred texts or more, sixteen at a time, before it is measured, so that its weights were touched.
"""

from compare import arguments, servers_of, started, wait_until_ready
from load import closed_loop
from process_tree import usage_of

ANSWERS = 200


def main() -> None:
    args = arguments(__doc__)
    sizes: dict[str, float] = {}
    for server in servers_of(args):
        with started(server) as pid:
            wait_until_ready(server)
            answers = 0
            while answers < ANSWERS:
                load = closed_loop(server.url, server.requests[answers:], clients=16, seconds=args.seconds)
                answers += len(load.latencies)
            sizes[server.name] = usage_of(pid).memory
        print(f"{server.name}: {sizes[server.name]:.0f} MiB after {answers} answers", flush=True)
    plain = sizes["plain FastAPI"]
    for name, size in sizes.items():
        print(f"{name}: {size / plain:.2f} of plain FastAPI")


if __name__ == "__main__":
    main()
