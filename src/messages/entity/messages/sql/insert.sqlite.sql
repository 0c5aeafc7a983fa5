INSERT INTO messages (
    id, kind, phone, body, sealed_body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    unhex(value ->> 'id'), value ->> 'kind', value ->> 'phone', value ->> 'body',
    unhex(value ->> 'sealed_body'), value ->> 'encoding', value ->> 'segments', value ->> 'campaign',
    value ->> 'status', 0, 0,
    value ->> 'created_at', value ->> 'created_at', value ->> 'created_at', value ->> 'expires_at'
FROM json_each(?1)
