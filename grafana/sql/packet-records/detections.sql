SELECT time, severity, rule, orig_addr AS source, resp_addr AS target, resp_port AS port, detail
FROM alert
WHERE $__timeFilterColumn(time)
ORDER BY time DESC
LIMIT 200
