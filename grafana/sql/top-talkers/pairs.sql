SELECT orig_addr || ' - ' || resp_addr AS pair, sum(orig_bytes + resp_bytes)::DOUBLE AS bytes
FROM connection
WHERE $__timeFilterColumn(time)
GROUP BY ALL
ORDER BY bytes DESC, pair
LIMIT 15
