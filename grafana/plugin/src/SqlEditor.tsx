import { CodeEditor, type Monaco, type MonacoEditor } from '@grafana/ui';
import * as React from 'react';

import type { OrielDataSource, Suggestion } from './datasource';

interface Props {
  datasource: OrielDataSource;
  value: string;
  onChange: (sql: string) => void;
  onRun: () => void;
}

/** The text of a query, with completion by the server. */
export function SqlEditor({ datasource, value, onChange, onRun }: Props) {
  // The editor keeps the callbacks of its first rendering.
  const latest = React.useRef({ onChange, onRun });
  latest.current = { onChange, onRun };
  const provider = React.useRef<{ dispose(): void } | undefined>(undefined);
  React.useEffect(() => () => provider.current?.dispose(), []);
  const mounted = (editor: MonacoEditor, monaco: Monaco) => {
    editor.addCommand(monaco.KeyMod.Shift | monaco.KeyCode.Enter, () => {
      latest.current.onChange(editor.getValue());
      latest.current.onRun();
    });
    provider.current = completion(monaco, editor, datasource);
  };
  return (
    <CodeEditor
      language="sql"
      height={180}
      value={value}
      showLineNumbers
      showMiniMap={false}
      monacoOptions={{ fontSize: 13, scrollBeyondLastLine: false, wordWrap: 'on', suggest: { showWords: false } }}
      onBlur={onChange}
      onSave={(sql) => {
        onChange(sql);
        onRun();
      }}
      onEditorDidMount={mounted}
    />
  );
}

/** completion asks the server what may come next. It speaks of its own editor only. */
function completion(monaco: Monaco, editor: MonacoEditor, datasource: OrielDataSource) {
  const kinds: Record<Suggestion['kind'], number> = {
    macro: monaco.languages.CompletionItemKind.Snippet,
    table: monaco.languages.CompletionItemKind.Struct,
    column: monaco.languages.CompletionItemKind.Field,
    function: monaco.languages.CompletionItemKind.Function,
    keyword: monaco.languages.CompletionItemKind.Keyword,
  };
  return monaco.languages.registerCompletionItemProvider('sql', {
    triggerCharacters: ['$', '.', ' '],
    provideCompletionItems: async (model, position) => {
      if (model !== editor.getModel()) {
        return { suggestions: [] };
      }
      const text = model.getValue();
      const before = text.slice(0, model.getOffsetAt(position));
      const bytes = (s: string) => new TextEncoder().encode(s).length;
      try {
        const found = await datasource.complete(text, bytes(before));
        const from = new TextDecoder().decode(new TextEncoder().encode(text).slice(0, found.start)).length;
        const start = model.getPositionAt(from);
        const range = { startLineNumber: start.lineNumber, startColumn: start.column, endLineNumber: position.lineNumber, endColumn: position.column };
        return {
          suggestions: found.suggestions.map((s) => ({ label: s.text, insertText: s.text, filterText: s.text, kind: kinds[s.kind], detail: s.note ?? s.kind, range })),
        };
      } catch {
        return { suggestions: [] }; // typing goes on without help
      }
    },
  });
}
