INSERT INTO messages (
    id, kind, phone, body, sealed_body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    unhex(value ->> 'id'), value ->> 'kind', value ->> 'phone', value ->> 'body',
    unhex(value ->> 'sealed_body'), value ->> 'encoding', value ->> 'segments', value ->> 'campaign', ?2, 0, 0,
    ?3, ?3, ?3, value ->> 'expires_at'
FROM jsonb_each(?1)
