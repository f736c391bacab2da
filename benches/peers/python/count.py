"""Numbers from memory into a sum by a chunk step: `python count.py engine ROWS CHUNK FOLDER`."""

import json
import os
import sys
import time

_work, rows, chunk, folder = sys.argv[1:]
os.environ["DATABASE_URL"] = f"sqlite:///{folder}/python.db"

from app.chunk import CallableItemReader, CallableItemWriter, FunctionItemProcessor  # noqa: E402
from app.core import ChunkStep, Job, launch  # noqa: E402
from app.models import Status, create_tables, session  # noqa: E402

MASK = (1 << 64) - 1


def work(item: int) -> int | None:
    mixed = ((item ^ (item >> 3)) * 0x9E3779B97F4A7C15) & MASK
    return mixed >> 7 if mixed & 15 else None


class Total:
    value = 0

    def add(self, items: list[int]) -> None:
        self.value = (self.value + sum(items)) & MASK


create_tables()
total = Total()
step = ChunkStep(
    "Sum",
    CallableItemReader(range(int(rows))),
    FunctionItemProcessor(work),
    CallableItemWriter(total.add),
    int(chunk),
)
with session() as opened:
    start = time.perf_counter()
    execution = launch(opened, Job("Engine", [step]), {})
    seconds = time.perf_counter() - start
    if execution.status != Status.COMPLETED:
        sys.exit(execution.exit_message)
print(json.dumps({"seconds": seconds, "checksum": total.value}))
