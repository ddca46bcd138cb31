SELECT action, count(*)::DOUBLE AS connections
FROM $__source
WHERE target_ip = '${target_ip}' AND $__timeFilterColumn(start_time, timestamp)
GROUP BY action
ORDER BY action
