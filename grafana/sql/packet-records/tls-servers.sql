SELECT server_name, version, count(*) AS handshakes, count(*) FILTER (WHERE NOT established) AS failed, string_agg(DISTINCT nullif(weak, ''), ', ') AS weak
FROM tls
WHERE $__timeFilterColumn(time)
GROUP BY server_name, version
ORDER BY handshakes DESC, server_name, version
LIMIT 50
