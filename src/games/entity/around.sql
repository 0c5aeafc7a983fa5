WITH mine AS (
    SELECT minus_points, reached_at, user_id FROM board_places WHERE user_id = $1 AND board = $2
), block AS (
    SELECT minus_points, reached_at, user_id FROM board_blocks
    WHERE board = $2 AND (minus_points, reached_at, user_id) <= (SELECT * FROM mine)
    ORDER BY minus_points DESC, reached_at DESC, user_id DESC LIMIT 1
), ahead AS (
    SELECT * FROM board_places
    WHERE board = $2 AND (minus_points, reached_at, user_id) < (SELECT * FROM mine)
    ORDER BY minus_points DESC, reached_at DESC, user_id DESC LIMIT 2
), behind AS (
    SELECT * FROM board_places
    WHERE board = $2 AND (minus_points, reached_at, user_id) >= (SELECT * FROM mine)
    ORDER BY minus_points, reached_at, user_id LIMIT 3
)
SELECT near.*,
    (SELECT COUNT(*) FROM board_places WHERE board = $2
        AND (minus_points, reached_at, user_id) >= (SELECT * FROM block)
        AND (minus_points, reached_at, user_id) < (SELECT * FROM mine))
    + (SELECT CAST(COALESCE(SUM(places), 0) AS BIGINT) FROM board_blocks WHERE board = $2
        AND (minus_points, reached_at, user_id) < (SELECT * FROM block))
    - (SELECT COUNT(*) FROM ahead)
    + 1 AS first_rank
FROM (SELECT * FROM ahead UNION ALL SELECT * FROM behind) AS near
ORDER BY minus_points, reached_at, user_id
