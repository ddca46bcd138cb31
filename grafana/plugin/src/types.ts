import type { DataQuery, DataSourceJsonData } from '@grafana/data';

/** What an answer is turned into. */
export type Format = 'table' | 'time_series' | 'long' | 'logs';

/** One condition of the builder. */
export interface Condition {
  column: string;
  operator: string;
  value: string;
}

/** One figure of the builder: count(*), or a function of a column. */
export interface Figure {
  fn: string;
  column: string;
}

/** What the builder holds; its SQL is made by toSQL. */
export interface BuilderState {
  table: string;
  timeColumn: string;
  figures: Figure[];
  groupBy: string[];
  conditions: Condition[];
  overTime: boolean;
  limit: number;
}

/** A query as a dashboard keeps it. */
export interface OrielQuery extends DataQuery {
  rawSql: string;
  format: Format;
  timeColumn?: string;
  metricColumn?: string;
  /** false: the query runs, for those that read it or for its INTO, and gives no result. */
  returnResult?: boolean;
  /** There when the builder made rawSql. */
  builder?: BuilderState;
  /** The SQL of the queries that this one reads by $__source_prev, so that it can be asked alone. */
  prev?: Record<string, string>;
  /** Set when a request is made. */
  relative?: boolean;
  variables?: Record<string, string | string[]>;
  filters?: Array<{ key: string; operator: string; value: string; values?: string[] }>;
}

/** Settings that are no secrets. */
export interface OrielOptions extends DataSourceJsonData {
  queryTimeout?: number;
  maxRows?: number;
  source?: string;
  destination?: string;
  oauthPassThru?: boolean;
  tlsAuth?: boolean;
  tlsAuthWithCACert?: boolean;
  tlsSkipVerify?: boolean;
  serverName?: string;
}

/** Settings that Grafana keeps to itself. */
export interface OrielSecrets {
  basicAuthPassword?: string;
  bearerToken?: string;
  tlsCACert?: string;
  tlsClientCert?: string;
  tlsClientKey?: string;
}

/** A column as the server lists it. */
export interface Column {
  name: string;
  type: string;
  kind: 'bool' | 'int' | 'float' | 'string' | 'time';
}

export const defaultQuery: Partial<OrielQuery> = {
  rawSql: 'SELECT action, count(*) AS n\nFROM $__source\nWHERE $__timeFilter\nGROUP BY action',
  format: 'table',
};
