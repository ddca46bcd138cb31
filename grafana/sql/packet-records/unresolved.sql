SELECT query || ' ' || rcode AS name, count(*)::DOUBLE AS refused
FROM dns
WHERE rcode NOT IN ('', 'NOERROR') AND $__timeFilterColumn(time)
GROUP BY ALL
ORDER BY refused DESC, name
LIMIT 15
