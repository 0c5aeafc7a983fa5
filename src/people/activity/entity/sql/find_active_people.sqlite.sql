SELECT bucket, game, start, people, count
FROM jsonb_each(?1) AS wanted
JOIN active_people
    ON bucket = wanted.value ->> 'bucket' AND game = wanted.value ->> 'game' AND start = wanted.value ->> 'start'
