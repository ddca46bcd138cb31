SELECT
  initiator_ip,
  count(*)::DOUBLE AS rejected,
  count(DISTINCT target_ip)::DOUBLE AS targets,
  count(DISTINCT target_port)::DOUBLE AS ports
FROM $__source
WHERE action = 'rejected' AND direction = 'I' AND $__timeFilterColumn(start_time, timestamp)
GROUP BY initiator_ip
ORDER BY rejected DESC, initiator_ip
LIMIT 5
