INSERT INTO users (
    id, nickname, nickname_key, name, email, email_key, phone, phone_key, phone_verified_at, discoverable,
    two_factor_enabled, two_factor_waived, role, created_at, updated_at
)
SELECT
    id, nickname, nickname, name, email, email, phone, phone, CASE WHEN phone IS NOT NULL THEN created_at END, true,
    false, false, 'PLAYER', created_at, created_at
FROM json_to_recordset($1::json) AS new (
    id uuid, nickname text, name text, email text, phone text, created_at timestamptz
)
