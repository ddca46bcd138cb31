SELECT $__timeGroup(start_time, $__interval, 0) AS time, provider AS cloud,
  sum(coalesce(bytes_from_initiator, 0) + coalesce(bytes_from_target, 0))::DOUBLE * 1000 / $__interval_ms AS bytes
FROM flows
WHERE $__timeFilterColumn(start_time, timestamp)
GROUP BY ALL
ORDER BY time, cloud
