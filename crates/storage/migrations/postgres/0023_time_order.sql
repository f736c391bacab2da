-- The greatest time, in microseconds, by which an execution was created before one with a smaller id: by it the ids
-- of a span of time are bounded.
CREATE TABLE oxbatch_time_order (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    backstep BIGINT NOT NULL CHECK (backstep >= 0)
);

INSERT INTO oxbatch_time_order (id, backstep)
SELECT 1, coalesce((extract(epoch FROM max(newest - create_time)) * 1000000)::bigint, 0)
FROM (SELECT create_time, max(create_time) OVER (ORDER BY id) AS newest FROM oxbatch_job_execution) AS ordered;
