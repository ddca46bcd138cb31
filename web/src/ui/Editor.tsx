import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { sql, StandardSQL } from '@codemirror/lang-sql';
import { bracketMatching, defaultHighlightStyle, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { EditorState, Prec, type Extension } from '@codemirror/state';
import { EditorView, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { useEffect, useRef } from 'react';
import { postJSON } from '../data/api';
import { useDark } from './hooks';

export interface EditorProps { lang: 'promql' | 'sql'; value: string; onChange: (v: string) => void; onRun: () => void; label: string }

const onDark = HighlightStyle.define([
  { tag: tags.keyword, color: '#c792ea' }, { tag: [tags.string, tags.special(tags.string)], color: '#a5d6a7' }, { tag: tags.number, color: '#f2cc0c' }, { tag: tags.comment, color: '#7f848e', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.modifier], color: '#82aaff' }, { tag: [tags.variableName, tags.labelName, tags.name], color: '#e0e0e0' }, { tag: tags.operator, color: '#89ddff' }, { tag: tags.typeName, color: '#ffcb6b' },
]);

// suggest asks the server, which knows macros, tables and columns.
async function suggest(c: CompletionContext): Promise<CompletionResult | null> {
  const word = c.matchBefore(/[$\w]+/);
  if (!word && !c.explicit) return null;
  const text = c.state.doc.toString();
  const bytes = new TextEncoder().encode(text.slice(0, c.pos)).length;
  try {
    const r = await postJSON<{ suggestions: { text: string; kind: string; note?: string }[] }>('/api/sql/complete', { sql: text, position: bytes });
    const kinds: Record<string, string> = { table: 'class', column: 'property', macro: 'constant', function: 'function', keyword: 'keyword' };
    return { from: word?.from ?? c.pos, options: r.suggestions.map((s) => ({ label: s.text, type: kinds[s.kind], detail: s.note })), validFor: /^[$\w]*$/ };
  } catch {
    return null; // without completion one can still type
  }
}

function language(lang: 'promql' | 'sql'): Extension {
  if (lang === 'promql') return new PromQLExtension().setComplete({ remote: { url: '', httpMethod: 'GET' } }).asExtension();
  return [sql({ dialect: StandardSQL, upperCaseKeywords: true }), autocompletion({ override: [suggest] })];
}

// Editor is a CodeMirror for one query.
export default function Editor(p: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const live = useRef(p);
  live.current = p;
  const dark = useDark();
  useEffect(() => {
    const { lang, value, label } = live.current;
    const run = () => { live.current.onRun(); return true; };
    const v = new EditorView({
      parent: box.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(), closeBrackets(), bracketMatching(), language(lang), autocompletion(), lang === 'sql' ? lineNumbers() : [], placeholder(lang === 'sql' ? 'SELECT … FROM flows' : 'Expression'),
          syntaxHighlighting(dark ? onDark : defaultHighlightStyle), EditorView.lineWrapping, EditorView.theme({ '.cm-gutters': { background: 'transparent', border: 'none' }, '.cm-content': { minHeight: lang === 'sql' ? '76px' : '' } }, { dark }),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run }, ...(lang === 'promql' ? [{ key: 'Shift-Enter', run }] : [])])),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
          EditorView.contentAttributes.of({ 'aria-label': label }), EditorView.updateListener.of((u) => { if (u.docChanged) live.current.onChange(u.state.doc.toString()); }),
        ],
      }),
    });
    view.current = v;
    return () => v.destroy();
  }, [p.lang, dark]);
  useEffect(() => {
    const v = view.current;
    if (v && v.state.doc.toString() !== p.value) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: p.value } });
  }, [p.value]);
  return <div className="editor" ref={box} />;
}
