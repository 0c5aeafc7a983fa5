INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries, gateway, error, created_at,
    queued_at, expires_at, attempted_at, sent_at, delivered_at, state_at
)
SELECT
    unhex(value ->> 'id'), value ->> 'kind', value ->> 'phone', value ->> 'body', value ->> 'encoding',
    value ->> 'segments', value ->> 'campaign', value ->> 'status', 1, 0, 'console', value ->> 'error',
    value ->> 'created_at', value ->> 'created_at', value ->> 'expires_at', value ->> 'created_at',
    value ->> 'sent_at', value ->> 'delivered_at', value ->> 'state_at'
FROM jsonb_each(?1)
