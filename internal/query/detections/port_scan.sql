-- Who is refused at many ports of one address, or at one port of many addresses.
-- The score is how many.
SELECT initiator_ip AS source, max(places)::DOUBLE AS score
FROM (
  SELECT initiator_ip, count(DISTINCT target_port) AS places
  FROM flows
  WHERE action = 'rejected' AND $__timeFilterColumn(start_time, timestamp)
  GROUP BY initiator_ip, target_ip
  UNION ALL
  SELECT initiator_ip, count(DISTINCT target_ip) AS places
  FROM flows
  WHERE action = 'rejected' AND $__timeFilterColumn(start_time, timestamp)
  GROUP BY initiator_ip, target_port
)
GROUP BY initiator_ip
HAVING max(places) >= 20
ORDER BY score DESC, source
LIMIT 1000
