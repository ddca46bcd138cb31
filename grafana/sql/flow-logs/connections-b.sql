SELECT $__timeGroup(time_stamp, 1h, 0) AS time, action, count(*)::DOUBLE AS count
FROM $__source_prev(A)
GROUP BY ALL
ORDER BY time, action
