SELECT initiator_ip, count(*)::DOUBLE AS rejected
FROM $__source
WHERE action = 'rejected' AND target_ip = '${target_ip}' AND $__timeFilterColumn(start_time, timestamp)
GROUP BY initiator_ip
ORDER BY rejected DESC, initiator_ip
LIMIT 25
