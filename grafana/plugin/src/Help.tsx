import * as React from 'react';

import type { Format, OrielQuery } from './types';

interface Example {
  title: string;
  rawSql: string;
  format: Format;
  timeColumn?: string;
  metricColumn?: string;
}

export const examples: Example[] = [
  { title: 'Accepted and rejected flows', rawSql: 'SELECT action, count(*) AS n\nFROM $__source\nWHERE $__timeFilter\nGROUP BY action', format: 'table' },
  {
    title: 'Rejected flows over time, by target',
    rawSql: "SELECT $__timeGroup(start_time, $__interval, 0) AS time, target_ip, count(*) AS n\nFROM $__source\nWHERE $__timeFilterColumn(start_time) AND action = 'rejected'\nGROUP BY ALL\nORDER BY time",
    format: 'time_series',
    timeColumn: 'time',
    metricColumn: 'target_ip',
  },
  { title: 'Who talks most', rawSql: 'SELECT initiator_ip, sum(bytes_from_initiator)::DOUBLE AS bytes\nFROM $__source\nWHERE $__timeFilterColumn(start_time)\nGROUP BY 1\nORDER BY bytes DESC\nLIMIT 10', format: 'table' },
  { title: 'WireGuard peers of now', rawSql: 'SELECT device, name, endpoint, last_handshake, up\nFROM wireguard_peers\nORDER BY up, name', format: 'table' },
];

const macros: Array<[string, string]> = [
  ['$__source', "the table of the data source's settings, or the server's: flow logs"],
  ['$__source_prev(A)', 'what query A yields; A may be hidden'],
  ['$__timeFilter', "the dashboard's range, on the time column"],
  ['$__timeFilterColumn(col[, type])', 'the range on a column; types: timestamp, date, string, epoch_s, epoch_ms ...'],
  ['$__timeGroup(col, interval[, fill])', 'the time rounded down; fill: 0, NULL or previous'],
  ['$__timeFrom, $__timeTo, $__interval', 'the ends of the range, and the interval of the panel'],
  ['$__unixEpochFilter(col)', 'the range on seconds since 1970'],
  ['INTO $__dest(parquet, name)', "at the end: writes the result to the server's destination"],
  ['$__source_test(TS), $__source_test(MTS)', 'made-up series, to try things with'],
];

/** The cheat sheet of Explore, and the help of the editor. */
export function Help({ onClickExample }: { onClickExample?: (query: OrielQuery) => void }) {
  return (
    <div>
      <h4>Macros</h4>
      <table>
        <tbody>
          {macros.map(([macro, text]) => (
            <tr key={macro}>
              <td>
                <code>{macro}</code>
              </td>
              <td style={{ paddingLeft: 12 }}>{text}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        A variable may stand anywhere: <code>{'${ip}'}</code>, <code>{"'${ip}'"}</code>, or <code>{'"${ip}"'}</code>; several values become a list.
      </p>
      <h4>Examples</h4>
      {examples.map(({ title, ...query }) => (
        <div key={title} style={{ marginBottom: 8 }}>
          <button type="button" style={{ background: 'none', border: 0, padding: 0, textAlign: 'left', color: 'inherit', cursor: 'pointer' }} onClick={() => onClickExample?.({ refId: 'A', ...query })}>
            <strong>{title}</strong>
            <pre>{query.rawSql}</pre>
          </button>
        </div>
      ))}
    </div>
  );
}
