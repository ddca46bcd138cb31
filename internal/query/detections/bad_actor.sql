-- Who is refused often, inbound. The score is the number of refused flows.
SELECT initiator_ip AS source, count(*)::DOUBLE AS score
FROM flows
WHERE action = 'rejected' AND direction = 'I' AND $__timeFilterColumn(start_time, timestamp)
GROUP BY initiator_ip
HAVING count(*) >= 100
ORDER BY score DESC, source
LIMIT 1000
