-- Executions are found by the parameters of their instances; long texts by their beginning.
CREATE INDEX oxbatch_job_instance_parameter_text
    ON oxbatch_job_instance_parameter (key_name, substr(string_value, 1, 100)) WHERE string_value IS NOT NULL;
CREATE INDEX oxbatch_job_instance_parameter_number
    ON oxbatch_job_instance_parameter (key_name, long_value) WHERE long_value IS NOT NULL;
CREATE INDEX oxbatch_job_instance_parameter_double
    ON oxbatch_job_instance_parameter (key_name, double_value) WHERE double_value IS NOT NULL;
CREATE INDEX oxbatch_job_instance_parameter_date
    ON oxbatch_job_instance_parameter (key_name, date_value) WHERE date_value IS NOT NULL;
