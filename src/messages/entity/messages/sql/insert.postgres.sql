INSERT INTO messages (
    id, kind, phone, body, sealed_body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, kind, phone, body, decode(sealed_body, 'hex'), encoding, segments, campaign, status, 0, 0,
    created_at, created_at, created_at, expires_at
FROM json_to_recordset($1::json) AS new (
    id uuid, kind smallint, phone text, body text, sealed_body text, encoding text, segments smallint,
    campaign text, status text, created_at timestamptz, expires_at timestamptz
)
