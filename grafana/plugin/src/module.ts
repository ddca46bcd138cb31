import { DataSourcePlugin } from '@grafana/data';

import { ConfigEditor } from './ConfigEditor';
import { OrielDataSource } from './datasource';
import { Help } from './Help';
import { QueryEditor } from './QueryEditor';
import { VariableEditor } from './VariableEditor';
import type { OrielOptions, OrielQuery, OrielSecrets } from './types';

export const plugin = new DataSourcePlugin<OrielDataSource, OrielQuery, OrielOptions, OrielSecrets>(OrielDataSource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor)
  .setVariableQueryEditor(VariableEditor)
  .setQueryEditorHelp(Help);
