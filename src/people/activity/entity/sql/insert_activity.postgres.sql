INSERT INTO user_activity (hour, game, user_number, is_folded)
SELECT new.hour, new.game, users.number, false
FROM json_to_recordset($1::json) AS new (hour timestamptz, game text, user_id uuid)
JOIN users ON users.id = new.user_id
ORDER BY 1, 2, 3
ON CONFLICT (hour, game, user_number) DO NOTHING
