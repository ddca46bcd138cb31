SELECT host, count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS failed, median(first_byte_ns) / 1e9 AS first_byte
FROM http
WHERE $__timeFilterColumn(time)
GROUP BY host
ORDER BY requests DESC, host
LIMIT 50
