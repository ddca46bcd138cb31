import { Alert } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Async } from './hooks';

// Page is the frame of a page.
export function Page({ title, children, right }: { title: string; children: ReactNode; right?: ReactNode }) {
  return (
    <div className="page">
      <div style={{ display: 'flex', justifyContent: 'space-between', flexWrap: 'wrap', gap: 8 }}><h1>{title}</h1>{right}</div>
      {children}
    </div>
  );
}

// Loaded shows what was asked for, or that it is awaited, or why it is not there.
export function Loaded<T>({ of, children, empty }: { of: Async<T>; children: (v: T) => ReactNode; empty?: string }) {
  if (of.data === undefined) return of.error ? <Alert color="red" p="xs">{of.error}</Alert> : <p className="hint">Loading …</p>;
  if (empty && Array.isArray(of.data) && of.data.length === 0) return <p className="hint">{empty}</p>;
  return <>{of.error && <Alert color="red" p="xs" mb="xs">{of.error}</Alert>}{children(of.data)}</>;
}
