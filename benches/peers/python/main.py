"""The service: `python main.py PORT`."""

import sys
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import Body, Depends, FastAPI, HTTPException
from sqlmodel import Session, select

from app.core import Job, Step, job_registry, launch
from app.models import JobExecution, StepExecution, create_tables, session


@asynccontextmanager
async def lifespan(_app: FastAPI):
    create_tables()
    yield


app = FastAPI(lifespan=lifespan)
job_registry["OneStep"] = Job("OneStep", [Step("Nothing", lambda: None)])


def database():
    with session() as opened:
        yield opened


@app.post("/jobs/{name}/launch")
def launch_job(
    name: str, parameters: dict[str, Any] = Body(default={}), force: bool = False, opened: Session = Depends(database)
) -> JobExecution:
    job = job_registry.get(name)
    if job is None:
        raise HTTPException(404, f"there is no job '{name}'")
    return launch(opened, job, parameters, force)


@app.get("/executions")
def executions(opened: Session = Depends(database)) -> list[JobExecution]:
    return list(opened.exec(select(JobExecution)).all())


@app.get("/executions/{execution_id}")
def execution(execution_id: int, opened: Session = Depends(database)) -> JobExecution:
    found = opened.get(JobExecution, execution_id)
    if found is None:
        raise HTTPException(404, f"there is no execution {execution_id}")
    return found


@app.get("/executions/{execution_id}/steps")
def steps(execution_id: int, opened: Session = Depends(database)) -> list[StepExecution]:
    return list(opened.exec(select(StepExecution).where(StepExecution.execution_id == execution_id)).all())


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
