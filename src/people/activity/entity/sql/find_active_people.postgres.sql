SELECT active_people.bucket, active_people.game, active_people.start, people, count
FROM json_to_recordset($1::json) AS wanted (bucket text, game text, start timestamptz)
JOIN active_people USING (bucket, game, start)
