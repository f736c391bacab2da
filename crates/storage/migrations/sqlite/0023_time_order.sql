-- The greatest time, in microseconds, by which an execution was created before one with a smaller id: by it the ids
-- of a span of time are bounded.
CREATE TABLE oxbatch_time_order (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    backstep INTEGER NOT NULL CHECK (backstep >= 0)
) STRICT;

INSERT INTO oxbatch_time_order (id, backstep)
SELECT 1, coalesce(max(newest - create_time), 0)
FROM (SELECT create_time, max(create_time) OVER (ORDER BY id) AS newest FROM oxbatch_job_execution);
