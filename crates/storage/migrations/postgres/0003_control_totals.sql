-- Control totals of a step: its sums as JSON, decimals as text. They come and go with the state beside which they stand.

ALTER TABLE oxbatch_step_execution ADD COLUMN control_totals TEXT;
