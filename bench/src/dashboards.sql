-- What a dashboard of a range shows, counted from the rows. {from}: the start of the range.
SELECT date_trunc('day', played_at), game, count(*), sum(points), count(*) FILTER (WHERE won)
  FROM rounds WHERE status = 'PLAYED' AND played_at >= {from} GROUP BY 1, 2;
SELECT date_trunc('day', played_at), count(DISTINCT user_id)
  FROM rounds WHERE status = 'PLAYED' AND played_at >= {from} GROUP BY 1;
SELECT game, count(DISTINCT user_id)
  FROM rounds WHERE status = 'PLAYED' AND played_at >= {from} GROUP BY GROUPING SETS ((), (game));
SELECT date_trunc('day', created_at), reason, sum(amount), count(*)
  FROM coin_entries WHERE created_at >= {from} GROUP BY 1, 2;
SELECT date_trunc('day', state_at), status, count(*)
  FROM messages WHERE state_at >= {from} GROUP BY 1, 2;
SELECT date_trunc('day', created_at), count(*)
  FROM users WHERE created_at >= {from} GROUP BY 1;
