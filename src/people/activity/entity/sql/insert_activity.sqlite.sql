INSERT INTO user_activity (hour, game, user_number, is_folded)
SELECT new.value ->> 'hour', new.value ->> 'game', users.number, false
FROM jsonb_each(?1) AS new
JOIN users ON users.id = unhex(new.value ->> 'user_id')
WHERE true
ON CONFLICT (hour, game, user_number) DO NOTHING
