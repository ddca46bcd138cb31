SELECT connection_start_time AS time_stamp, action
FROM $__source
WHERE target_ip = '${target_ip}' AND $__timeFilterColumn(connection_start_time, timestamp)
