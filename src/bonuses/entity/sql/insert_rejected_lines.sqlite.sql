INSERT INTO bonus_rejected_lines (import_id, line, masked_value, reason)
SELECT ?2, value ->> 'line', value ->> 'masked_value', value ->> 'reason'
FROM jsonb_each(?1)
