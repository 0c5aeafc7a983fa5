INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries, gateway, error, created_at,
    queued_at, expires_at, attempted_at, sent_at, delivered_at, state_at
)
SELECT
    id, kind, phone, body, encoding, segments, campaign, status, 1, 0, 'console', error, created_at,
    created_at, expires_at, created_at, sent_at, delivered_at, state_at
FROM json_to_recordset($1::json) AS new (
    id uuid, kind smallint, phone text, body text, encoding text, segments smallint, campaign text, status text,
    error text, created_at timestamptz, expires_at timestamptz, sent_at timestamptz, delivered_at timestamptz,
    state_at timestamptz
)
