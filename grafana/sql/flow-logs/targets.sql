SELECT target_ip AS label, target_ip AS value
FROM $__source
WHERE $__timeFilterColumn(start_time, timestamp)
GROUP BY target_ip
ORDER BY count(*) FILTER (WHERE action = 'rejected') DESC, target_ip
LIMIT 1000
