UPDATE connections
SET
    calls = connections.calls + (new.value ->> 'calls'),
    last_used_at = MAX(COALESCE(connections.last_used_at, ''), new.value ->> 'last_used_at')
FROM jsonb_each(?1) AS new
WHERE connections.id = unhex(new.value ->> 'id')
