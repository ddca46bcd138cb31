import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The pages go into the Go program (internal/console/pages.go). For work on
// them: `npx vite` beside a running `oriel demo`.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../internal/console/dist', emptyOutDir: true, target: 'es2022',
    modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:9190', '/alertmanager': 'http://127.0.0.1:9190', '/-': 'http://127.0.0.1:9190' } },
});
