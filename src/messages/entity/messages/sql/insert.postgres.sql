INSERT INTO messages (
    id, kind, phone, body, sealed_body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, kind, phone, body, decode(sealed_body, 'hex'), encoding, segments, campaign, $2, 0, 0,
    $3, $3, $3, expires_at
FROM json_to_recordset($1::json) AS new (
    id uuid, kind smallint, phone text, body text, sealed_body text, encoding text, segments smallint,
    campaign text, expires_at timestamptz
)
