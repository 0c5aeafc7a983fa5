INSERT INTO bonus_rejected_lines (import_id, line, masked_value, reason)
SELECT $2, line, masked_value, reason
FROM json_to_recordset($1::json) AS new (line bigint, masked_value text, reason text)
