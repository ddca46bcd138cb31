SELECT coalesce(nullif(service, ''), proto || ' ' || resp_port) AS service, sum(orig_bytes + resp_bytes)::DOUBLE AS bytes
FROM connection
WHERE $__timeFilterColumn(time)
GROUP BY ALL
ORDER BY bytes DESC, service
LIMIT 15
