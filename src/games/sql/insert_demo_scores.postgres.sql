INSERT INTO leaderboard_rows (user_id, leaderboard_key, negated_points, reached_at, rounds)
SELECT user_id, $2, negated_points, reached_at, rounds
FROM json_to_recordset($1::json) AS new (user_id uuid, negated_points bigint, reached_at timestamptz, rounds bigint)
