-- Who calls one port outside at even intervals, as malware asks for orders: twelve
-- connections or more, 10 seconds to an hour apart, eight of ten intervals within a
-- tenth of their median: one that was missed makes no doubt. The score is the
-- number of connections. Each observer keeps its own time, and a flow that it
-- tells twice counts once.
SELECT initiator_ip AS source, count(*)::DOUBLE AS score
FROM (
  SELECT *, tick - lag(tick) OVER (PARTITION BY provider, observer, initiator_ip, target_ip, target_port ORDER BY tick) AS gap
  FROM (
    SELECT DISTINCT provider, observer, initiator_ip, target_ip, target_port, floor(epoch(start_time)) AS tick
    FROM flows
    WHERE direction = 'O' AND action = 'accepted' AND was_initiated AND $__timeFilterColumn(start_time, timestamp)
  )
)
WHERE gap IS NOT NULL
GROUP BY provider, observer, initiator_ip, target_ip, target_port
HAVING count(*) >= 11 AND median(gap) BETWEEN 10 AND 3600
  AND quantile_cont(gap, 0.1) >= 0.9 * median(gap) AND quantile_cont(gap, 0.9) <= 1.1 * median(gap)
ORDER BY score DESC, source
LIMIT 1000
