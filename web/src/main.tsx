import { createTheme, MantineProvider } from '@mantine/core';
import '@mantine/core/styles.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import './style.css';

const theme = createTheme({
  primaryColor: 'blue', defaultRadius: 'sm', cursorType: 'pointer',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', fontFamilyMonospace: 'ui-monospace, "DejaVu Sans Mono", monospace',
});

// A link may choose the scheme; otherwise it is what this browser remembers.
const wanted = new URLSearchParams(location.search).get('theme');
const scheme = wanted === 'light' || wanted === 'dark' ? wanted : undefined;

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="dark" forceColorScheme={scheme}><App /></MantineProvider>
  </StrictMode>,
);
