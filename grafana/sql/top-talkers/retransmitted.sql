SELECT orig_addr AS source, resp_addr AS target, sum(orig_retransmitted + resp_retransmitted)::DOUBLE AS sent_again,
  100.0 * sum(orig_retransmitted + resp_retransmitted) / greatest(sum(orig_packets + resp_packets), 1) AS share
FROM connection
WHERE $__timeFilterColumn(time) AND proto = 'tcp'
GROUP BY ALL
ORDER BY sent_again DESC, source, target
LIMIT 50
