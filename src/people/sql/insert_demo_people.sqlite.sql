INSERT INTO users (
    id, number, nickname, nickname_key, name, email, email_key, phone, phone_key, phone_verified_at, discoverable,
    two_factor_enabled, two_factor_waived, role, created_at, updated_at
)
SELECT
    unhex(value ->> 'id'), (SELECT COALESCE(MAX(number), 0) FROM users) + ROW_NUMBER() OVER (), value ->> 'nickname', value ->> 'nickname', value ->> 'name', value ->> 'email',
    value ->> 'email', value ->> 'phone', value ->> 'phone',
    CASE WHEN value ->> 'phone' IS NOT NULL THEN value ->> 'created_at' END, true,
    false, false, 'PLAYER', value ->> 'created_at', value ->> 'created_at'
FROM jsonb_each(?1)
