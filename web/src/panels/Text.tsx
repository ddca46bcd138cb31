import { Fragment, type ReactNode } from 'react';
import { Link } from '../ui/Link';
import type { PanelProps } from './types';

// inline reads `code`, **bold**, *italic* and [links](to). All becomes elements and text: no HTML is ever parsed.
export function inline(text: string): ReactNode[] {
  const re = /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|!?\[([^\]]*)\]\(([^)\s]+)[^)]*\)|(https?:\/\/[^\s<>")]+)/g;
  const out: ReactNode[] = [];
  let at = 0;
  for (const m of text.matchAll(re)) {
    if (m.index > at) out.push(text.slice(at, m.index));
    at = m.index + m[0].length;
    const key = out.length;
    if (m[1] !== undefined) out.push(<code key={key}>{m[1]}</code>);
    else if (m[2] ?? m[3]) out.push(<b key={key}>{m[2] ?? m[3]}</b>);
    else if (m[4]) out.push(<i key={key}>{m[4]}</i>);
    else out.push(<Link key={key} to={m[6] ?? m[7]!} inherit>{m[5] || m[7] || m[6]}</Link>);
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

// markdown reads headings, lists, tables, quotes, code and paragraphs.
export function markdown(text: string): ReactNode[] {
  const out: ReactNode[] = [];
  const lines = text.replace(/\r/g, '').split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const take = (test: (l: string) => boolean): string[] => {
      const from = i;
      while (i + 1 < lines.length && test(lines[i + 1]!)) i++;
      return lines.slice(from, i + 1);
    };
    if (line.startsWith('```')) {
      const block = take((l) => !l.startsWith('```')).slice(1);
      i++;
      out.push(<pre key={i}>{block.join('\n')}</pre>);
    } else if (/^#{1,6}\s/.test(line)) {
      const Tag = `h${Math.min(6, line.indexOf(' ') + 1)}` as 'h2';
      out.push(<Tag key={i}>{inline(line.replace(/^#+\s+/, ''))}</Tag>);
    } else if (/^\s*([-*+]|\d+\.)\s/.test(line)) {
      const items = take((l) => /^\s*([-*+]|\d+\.)\s/.test(l)).map((l, k) => <li key={k}>{inline(l.replace(/^\s*([-*+]|\d+\.)\s+/, ''))}</li>);
      out.push(/^\s*\d/.test(line) ? <ol key={i}>{items}</ol> : <ul key={i}>{items}</ul>);
    } else if (line.startsWith('|')) {
      const cells = take((l) => l.startsWith('|')).filter((l) => !/^[|\s:-]+$/.test(l)).map((l) => l.replace(/^\||\|\s*$/g, '').split('|'));
      out.push(<table key={i}><tbody>{cells.map((r, k) => <tr key={k}>{r.map((c, n) => (k === 0 ? <th key={n}>{inline(c.trim())}</th> : <td key={n}>{inline(c.trim())}</td>))}</tr>)}</tbody></table>);
    } else if (line.startsWith('>')) {
      out.push(<blockquote key={i}>{inline(take((l) => l.startsWith('>')).map((l) => l.replace(/^>\s?/, '')).join(' '))}</blockquote>);
    } else if (/^(-{3,}|\*{3,})$/.test(line)) {
      out.push(<hr key={i} />);
    } else if (line.trim() !== '') {
      const para = take((l) => l.trim() !== '' && !/^(#|```|\||>|\s*([-*+]|\d+\.)\s)/.test(l));
      out.push(<p key={i}>{para.map((l, k) => <Fragment key={k}>{k > 0 && ' '}{inline(l)}</Fragment>)}</p>);
    }
  }
  return out;
}

// plainHTML is the text of HTML, without its tags.
function plainHTML(html: string): string {
  // Inert: nothing loads, nothing runs; but a browser would complain of handlers that the policy forbids.
  const body = new DOMParser().parseFromString(html.replace(/\son\w+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi, ''), 'text/html').body;
  body.querySelectorAll('script,style').forEach((e) => e.remove());
  return body.textContent;
}

// Text shows Markdown; of HTML the text only.
export function Text(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { content?: string; mode?: string };
  const [content, mode] = [p.text(o.content ?? p.panel.content ?? ''), o.mode ?? p.panel.mode ?? 'markdown'];
  if (mode === 'code') return <pre className="text">{content}</pre>;
  return <div className="text">{markdown(mode === 'html' ? plainHTML(content) : content)}</div>;
}
