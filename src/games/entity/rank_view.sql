WITH own AS (
    SELECT negated_points, reached_at, user_id FROM leaderboard_rows WHERE user_id = $1 AND leaderboard_key = $2
), bucket AS (
    SELECT negated_points, reached_at, user_id FROM leaderboard_buckets
    WHERE leaderboard_key = $2 AND (negated_points, reached_at, user_id) <= (SELECT * FROM own)
    ORDER BY negated_points DESC, reached_at DESC, user_id DESC LIMIT 1
), ahead AS (
    SELECT * FROM leaderboard_rows
    WHERE leaderboard_key = $2 AND (negated_points, reached_at, user_id) < (SELECT * FROM own)
    ORDER BY negated_points DESC, reached_at DESC, user_id DESC LIMIT 2
), behind AS (
    SELECT * FROM leaderboard_rows
    WHERE leaderboard_key = $2 AND (negated_points, reached_at, user_id) >= (SELECT * FROM own)
    ORDER BY negated_points, reached_at, user_id LIMIT 3
)
SELECT neighbour.*,
    (SELECT COUNT(*) FROM leaderboard_rows WHERE leaderboard_key = $2
        AND (negated_points, reached_at, user_id) >= (SELECT * FROM bucket)
        AND (negated_points, reached_at, user_id) < (SELECT * FROM own))
    + (SELECT CAST(COALESCE(SUM(row_count), 0) AS BIGINT) FROM leaderboard_buckets WHERE leaderboard_key = $2
        AND (negated_points, reached_at, user_id) < (SELECT * FROM bucket))
    - (SELECT COUNT(*) FROM ahead)
    + 1 AS first_rank
FROM (SELECT * FROM ahead UNION ALL SELECT * FROM behind) AS neighbour
ORDER BY negated_points, reached_at, user_id
