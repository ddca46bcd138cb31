import { Anchor } from '@mantine/core';
import type { CSSProperties, MouseEvent, ReactNode } from 'react';
import { safeURL } from '../model/interpolate';
import { go } from './url';

// follow makes a click on a link of ours stay in the page.
export function follow(e: MouseEvent, to: string): void {
  if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
  e.preventDefault();
  go(to);
}

export interface LinkProps { to: string; children: ReactNode; blank?: boolean; className?: string; title?: string; style?: CSSProperties; inherit?: boolean }

// Link leads to a page of ours, or with care to one of others.
export function Link({ to, children, blank, ...more }: LinkProps) {
  const url = safeURL(to);
  if (url === undefined) return <span {...{ className: more.className, style: more.style }}>{children}</span>;
  if (url.startsWith('/') && !blank) return <Anchor size="sm" {...more} href={url} onClick={(e) => follow(e, url)}>{children}</Anchor>;
  return <Anchor size="sm" {...more} href={url} target="_blank" rel="noopener noreferrer">{children}</Anchor>;
}
