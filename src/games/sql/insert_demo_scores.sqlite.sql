INSERT INTO leaderboard_rows (user_id, leaderboard_key, negated_points, reached_at, rounds)
SELECT unhex(value ->> 'user_id'), ?2, value ->> 'negated_points', value ->> 'reached_at', value ->> 'rounds'
FROM jsonb_each(?1)
