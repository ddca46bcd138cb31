SELECT target_ip, count(*)::DOUBLE AS rejected
FROM $__source
WHERE action = 'rejected' AND direction = 'I' AND $__timeFilterColumn(start_time, timestamp)
GROUP BY target_ip
ORDER BY rejected DESC, target_ip
LIMIT 10
