UPDATE connections
SET calls = connections.calls + new.calls, last_used_at = GREATEST(connections.last_used_at, new.last_used_at)
FROM json_to_recordset($1::json) AS new (id uuid, calls bigint, last_used_at timestamptz)
WHERE connections.id = new.id
