SELECT $__timeGroup(c.time, $__interval, 0) AS time, c.orig_addr AS address, sum(c.orig_bytes + c.resp_bytes)::DOUBLE AS bytes
FROM connection c JOIN $__source_prev(A) a USING (orig_addr)
WHERE $__timeFilterColumn(c.time)
GROUP BY ALL
ORDER BY time, address
