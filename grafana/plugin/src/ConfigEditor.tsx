import type { DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { FieldSet, InlineField, InlineSwitch, Input, SecretInput, SecretTextArea } from '@grafana/ui';
import * as React from 'react';

import type { OrielOptions, OrielSecrets } from './types';

type Props = DataSourcePluginOptionsEditorProps<OrielOptions, OrielSecrets>;

/** The page of the data source's settings. Secrets go into secureJsonData only. */
export function ConfigEditor({ options, onOptionsChange }: Props) {
  const json = options.jsonData;
  const set = (change: Partial<OrielOptions>) => onOptionsChange({ ...options, jsonData: { ...json, ...change } });
  const secret = (key: keyof OrielSecrets) => ({
    isConfigured: Boolean(options.secureJsonFields?.[key]),
    value: options.secureJsonData?.[key] ?? '',
    onReset: () => onOptionsChange({ ...options, secureJsonFields: { ...options.secureJsonFields, [key]: false }, secureJsonData: { ...options.secureJsonData, [key]: '' } }),
    onChange: (e: React.FormEvent<HTMLInputElement | HTMLTextAreaElement>) => onOptionsChange({ ...options, secureJsonData: { ...options.secureJsonData, [key]: e.currentTarget.value } }),
  });
  const text = (key: 'source' | 'destination' | 'serverName', label: string, tooltip: string, placeholder = '') => (
    <InlineField label={label} labelWidth={22} tooltip={tooltip}>
      <Input id={'oriel-' + key} width={50} value={json[key] ?? ''} placeholder={placeholder} onChange={(e) => set({ [key]: e.currentTarget.value })} />
    </InlineField>
  );
  const number = (key: 'queryTimeout' | 'maxRows', label: string, tooltip: string, placeholder: string) => (
    <InlineField label={label} labelWidth={22} tooltip={tooltip}>
      <Input
        id={'oriel-' + key}
        type="number"
        width={20}
        value={json[key] ?? ''}
        placeholder={placeholder}
        onChange={(e) => set({ [key]: e.currentTarget.value === '' ? undefined : Number(e.currentTarget.value) })}
      />
    </InlineField>
  );
  const flag = (key: 'tlsAuth' | 'tlsAuthWithCACert' | 'tlsSkipVerify' | 'oauthPassThru', label: string, tooltip: string) => (
    <InlineField label={label} labelWidth={22} tooltip={tooltip}>
      <InlineSwitch id={'oriel-' + key} value={json[key] ?? false} onChange={(e) => set({ [key]: e.currentTarget.checked })} />
    </InlineField>
  );
  return (
    <>
      <FieldSet label="Server">
        <InlineField label="URL" labelWidth={22} tooltip="Where oriel serve listens.">
          <Input id="oriel-url" width={50} value={options.url ?? ''} placeholder="http://127.0.0.1:9190" onChange={(e) => onOptionsChange({ ...options, url: e.currentTarget.value.trim() })} />
        </InlineField>
        {number('queryTimeout', 'Timeout', 'Seconds that a request may take.', '60')}
        {number('maxRows', 'Row limit', 'Rows of an answer, at most.', '100000')}
      </FieldSet>
      <FieldSet label="Authentication">
        <InlineField label="Basic auth" labelWidth={22}>
          <InlineSwitch id="oriel-basic" value={options.basicAuth} onChange={(e) => onOptionsChange({ ...options, basicAuth: e.currentTarget.checked })} />
        </InlineField>
        {options.basicAuth && (
          <>
            <InlineField label="User" labelWidth={22}>
              <Input id="oriel-user" width={50} value={options.basicAuthUser} onChange={(e) => onOptionsChange({ ...options, basicAuthUser: e.currentTarget.value })} />
            </InlineField>
            <InlineField label="Password" labelWidth={22}>
              <SecretInput id="oriel-password" width={50} {...secret('basicAuthPassword')} />
            </InlineField>
          </>
        )}
        <InlineField label="Bearer token" labelWidth={22} tooltip="Instead of user and password.">
          <SecretInput id="oriel-token" width={50} {...secret('bearerToken')} />
        </InlineField>
        {flag('oauthPassThru', 'Forward identity', "Pass on the OAuth token of the person who asks.")}
      </FieldSet>
      <FieldSet label="TLS">
        {flag('tlsAuthWithCACert', 'CA certificate', "The server's certificate is signed by a CA that this machine does not know.")}
        {json.tlsAuthWithCACert && (
          <InlineField label="CA" labelWidth={22}>
            <SecretTextArea id="oriel-ca" cols={60} rows={5} placeholder="-----BEGIN CERTIFICATE-----" {...secret('tlsCACert')} />
          </InlineField>
        )}
        {flag('tlsAuth', 'Client certificate', 'Mutual TLS.')}
        {json.tlsAuth && (
          <>
            <InlineField label="Certificate" labelWidth={22}>
              <SecretTextArea id="oriel-cert" cols={60} rows={5} placeholder="-----BEGIN CERTIFICATE-----" {...secret('tlsClientCert')} />
            </InlineField>
            <InlineField label="Key" labelWidth={22}>
              <SecretTextArea id="oriel-key" cols={60} rows={5} placeholder="-----BEGIN PRIVATE KEY-----" {...secret('tlsClientKey')} />
            </InlineField>
          </>
        )}
        {(json.tlsAuth || json.tlsAuthWithCACert) && text('serverName', 'Server name', "Name in the server's certificate, if it is not that of the URL.")}
        {flag('tlsSkipVerify', 'Skip verification', 'Do not verify the certificate: who sits between can read everything.')}
      </FieldSet>
      <FieldSet label="Queries">
        {text('source', 'Source', 'The table that $__source means.', "the server's")}
        {text('destination', 'Destination', "Folder, below the server's own, that INTO $__dest writes to.")}
      </FieldSet>
    </>
  );
}
