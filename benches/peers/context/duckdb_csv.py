"""CSV to CSV by DuckDB, as one statement of SQL: `python duckdb_csv.py csv ROWS CHUNK FOLDER`."""

import json
import sys
import time

import duckdb

_work, _rows, _chunk, folder = sys.argv[1:]
start = time.perf_counter()
duckdb.connect().execute(
    f"""
    COPY (
        SELECT transaction_id,
               amount * CASE currency WHEN 'USD' THEN 0.92 WHEN 'GBP' THEN 1.17 ELSE 1.0 END AS amount,
               'EUR' AS currency, timestamp, account_from, account_to,
               CASE status WHEN 'CANCELLED' THEN 'FAILED' ELSE status END AS status
        FROM read_csv('{folder}/trades.csv', header = true, columns = {{
            'transaction_id': 'VARCHAR', 'amount': 'DOUBLE', 'currency': 'VARCHAR', 'timestamp': 'VARCHAR',
            'account_from': 'VARCHAR', 'account_to': 'VARCHAR', 'status': 'VARCHAR'}})
        WHERE status <> 'PENDING'
    ) TO '{folder}/duckdb.csv' (HEADER)
    """
)
print(json.dumps({"seconds": time.perf_counter() - start}))
