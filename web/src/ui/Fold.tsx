import type { ReactNode } from 'react';

// Fold is a part of a page that can be shut. It opens and shuts anew when open changes; the browser's own search finds what is in it.
export function Fold({ id, title, right, open, children }: { id?: string; title: ReactNode; right?: ReactNode; open: boolean; children: ReactNode }) {
  return (
    <details className="card fold" id={id} open={open}>
      <summary><b>{title}</b><span className="grow" />{right}</summary>
      {children}
    </details>
  );
}
