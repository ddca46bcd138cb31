-- Who sends much to one address outside and gets little back: 1 GB or more, ten
-- times what comes back. The score is the bytes sent.
SELECT initiator_ip AS source, sum(bytes_from_initiator)::DOUBLE AS score
FROM flows
WHERE direction = 'O' AND action = 'accepted' AND $__timeFilterColumn(start_time, timestamp)
  AND NOT regexp_matches(target_ip, '^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|f[cd][0-9a-f]{2}:|fe80:)')
GROUP BY initiator_ip, target_ip
HAVING sum(bytes_from_initiator) >= 1e9 AND sum(bytes_from_initiator) >= 10 * coalesce(sum(bytes_from_target), 0)
ORDER BY score DESC, source
LIMIT 1000
