SELECT $__timeGroup(time, $__interval, 0) AS time, coalesce(nullif(service, ''), proto) AS service, count(*)::DOUBLE AS connections
FROM connection
WHERE $__timeFilterColumn(time)
GROUP BY ALL
ORDER BY time, service
