"""Tables of the service, and its database."""

import os
from datetime import datetime, timezone
from enum import Enum

from sqlalchemy import event
from sqlmodel import Field, Session, SQLModel, create_engine


class Status(str, Enum):
    STARTING = "STARTING"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


def now() -> datetime:
    return datetime.now(timezone.utc)


class JobInstance(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    job_name: str = Field(index=True)
    job_key: str = Field(index=True)


class JobParameter(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    instance_id: int = Field(foreign_key="jobinstance.id", index=True)
    name: str
    type: str
    value: str


class JobExecution(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    instance_id: int = Field(foreign_key="jobinstance.id", index=True)
    status: Status = Status.STARTING
    start_time: datetime = Field(default_factory=now)
    end_time: datetime | None = None
    exit_message: str | None = None


class StepExecution(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    execution_id: int = Field(foreign_key="jobexecution.id", index=True)
    step_name: str
    status: Status = Status.STARTING
    start_time: datetime = Field(default_factory=now)
    end_time: datetime | None = None
    exit_message: str | None = None
    retry_count: int = 0
    read_count: int = 0
    write_count: int = 0
    filter_count: int = 0
    commit_count: int = 0


engine = create_engine(
    os.environ.get("DATABASE_URL", "sqlite:///batch.db"), connect_args={"check_same_thread": False, "timeout": 60}
)


@event.listens_for(engine, "connect")
def _faster_than_the_default(connection, _record):
    # Kinder than SQLite's default, with which 32 connections at once would time out on its lock.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def create_tables() -> None:
    SQLModel.metadata.create_all(engine)


def session() -> Session:
    return Session(engine, expire_on_commit=False)
