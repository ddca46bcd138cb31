SELECT orig_addr
FROM connection
WHERE $__timeFilterColumn(time)
GROUP BY orig_addr
ORDER BY sum(orig_bytes + resp_bytes) DESC, orig_addr
LIMIT 8
