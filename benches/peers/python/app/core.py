"""Jobs, steps, and what runs them."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from .chunk import ItemProcessor, ItemReader, ItemWriter
from .models import JobExecution, JobInstance, JobParameter, Status, StepExecution, now


@dataclass
class Step:
    name: str
    task: Callable[[], None]
    max_retries: int = 0
    retry_delay: float = 0.0

    def execute(self, session: Session, record: StepExecution) -> None:
        while True:
            try:
                return self.task()
            except Exception:
                if record.retry_count >= self.max_retries:
                    raise
                record.retry_count += 1
                session.add(record)
                session.commit()
                time.sleep(self.retry_delay)


@dataclass
class ChunkStep:
    name: str
    reader: ItemReader
    processor: ItemProcessor
    writer: ItemWriter
    chunk_size: int = 10

    def execute(self, session: Session, record: StepExecution) -> None:
        ended = False
        while not ended:
            outputs: list[Any] = []
            read = 0
            while read < self.chunk_size:
                item = self.reader.read()
                if item is None:
                    ended = True
                    break
                read += 1
                output = self.processor.process(item)
                if output is None:
                    record.filter_count += 1
                else:
                    outputs.append(output)
            if read == 0:
                break
            if outputs:
                self.writer.write(outputs)
            record.read_count += read
            record.write_count += len(outputs)
            record.commit_count += 1
            session.add(record)
            session.commit()


@dataclass
class Job:
    name: str
    steps: list[Step | ChunkStep] = field(default_factory=list)


job_registry: dict[str, Job] = {}


def parameter_type(value: Any) -> str:
    if isinstance(value, bool):
        return "STRING"
    if isinstance(value, int):
        return "INTEGER"
    if isinstance(value, float):
        return "FLOAT"
    try:
        datetime.fromisoformat(str(value))
        return "DATETIME"
    except ValueError:
        return "STRING"


def instance_of(session: Session, job: Job, parameters: dict[str, Any]) -> JobInstance:
    key = hashlib.md5(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    query = select(JobInstance).where(JobInstance.job_name == job.name, JobInstance.job_key == key)
    instance = session.exec(query).first()
    if instance is None:
        instance = JobInstance(job_name=job.name, job_key=key)
        session.add(instance)
        session.commit()
        for name, value in parameters.items():
            session.add(
                JobParameter(instance_id=instance.id, name=name, type=parameter_type(value), value=str(value))
            )
        session.commit()
    return instance


def launch(session: Session, job: Job, parameters: dict[str, Any], force: bool = False) -> JobExecution:
    """Runs a job to its end: completed steps of the instance are not run again, unless forced."""
    instance = instance_of(session, job, parameters)
    execution = JobExecution(instance_id=instance.id)
    session.add(execution)
    session.commit()
    execution.status = Status.STARTED
    session.add(execution)
    session.commit()
    for step in job.steps:
        if not force and is_complete(session, instance, step.name):
            continue
        record = StepExecution(execution_id=execution.id, step_name=step.name, status=Status.STARTED)
        session.add(record)
        session.commit()
        try:
            step.execute(session, record)
            record.status = Status.COMPLETED
        except Exception as fault:
            record.status = execution.status = Status.FAILED
            record.exit_message = execution.exit_message = str(fault)
        record.end_time = now()
        session.add(record)
        session.commit()
        if record.status == Status.FAILED:
            break
    else:
        execution.status = Status.COMPLETED
    execution.end_time = now()
    session.add(execution)
    session.commit()
    return execution


def is_complete(session: Session, instance: JobInstance, step: str) -> bool:
    query = (
        select(StepExecution.id)
        .join(JobExecution, JobExecution.id == StepExecution.execution_id)
        .where(
            JobExecution.instance_id == instance.id,
            StepExecution.step_name == step,
            StepExecution.status == Status.COMPLETED,
        )
    )
    return session.exec(query).first() is not None
