-- Who calls one port outside at even intervals, as malware asks for orders: twelve
-- connections or more, 10 seconds to an hour apart, the intervals' standard
-- deviation below a tenth of their mean. The score is the number of connections.
SELECT initiator_ip AS source, count(*)::DOUBLE AS score
FROM (
  SELECT initiator_ip, target_ip, target_port,
    epoch(start_time) - lag(epoch(start_time)) OVER (PARTITION BY initiator_ip, target_ip, target_port ORDER BY start_time) AS gap
  FROM flows
  WHERE direction = 'O' AND action = 'accepted' AND was_initiated AND $__timeFilterColumn(start_time, timestamp)
)
WHERE gap IS NOT NULL
GROUP BY initiator_ip, target_ip, target_port
HAVING count(*) >= 11 AND avg(gap) BETWEEN 10 AND 3600 AND stddev_pop(gap) < avg(gap) / 10
ORDER BY score DESC, source
LIMIT 1000
