import { useSyncExternalStore } from 'react';

// Busy counts requests under way. Only what shows it is drawn anew when it changes, not the page.
export class Busy {
  private count = 0;
  private readonly listeners = new Set<() => void>();
  readonly add = (n: number): void => {
    this.count += n;
    this.listeners.forEach((f) => f());
  };
  readonly subscribe = (f: () => void): (() => void) => {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  };
  readonly active = (): boolean => this.count > 0;
}

export const useBusy = (b: Busy): boolean => useSyncExternalStore(b.subscribe, b.active);
