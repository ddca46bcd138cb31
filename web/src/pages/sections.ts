// A text of YAML by its sections, so that a long one can be read.

export interface Section { name: string; lines: string[] }

// sections cuts a YAML text before every key at its left edge. What stands before the first one has no name.
export function sections(text: string): Section[] {
  const out: Section[] = [];
  for (const line of text.replace(/\n+$/, '').split('\n')) {
    const key = /^([A-Za-z_][\w.-]*):/.exec(line)?.[1];
    if (key !== undefined || out.length === 0) out.push({ name: key ?? '', lines: [] });
    out.at(-1)!.lines.push(line);
  }
  return out;
}

// around are the lines that hold a word, and those that they are below. An
// item of a list may stand as far left as the key it belongs to.
export function around(lines: string[], word: string): string[] {
  const left = (l: string) => l.search(/\S|$/);
  const item = (l: string) => /^\s*-(\s|$)/.test(l);
  const keep = new Set<number>();
  lines.forEach((line, i) => {
    if (!line.toLowerCase().includes(word)) return;
    keep.add(i);
    for (let [k, below] = [i - 1, line]; k >= 0; k--) {
      const l = lines[k]!;
      if (l.trim() === '' || !(left(l) < left(below) || (left(l) === left(below) && item(below) && !item(l)))) continue;
      keep.add(k);
      below = l;
    }
  });
  return lines.filter((_, i) => keep.has(i));
}
