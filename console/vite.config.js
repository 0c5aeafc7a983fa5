import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.SWITCHBOARD ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [react()],
  // The page is at /, its assets are below /console/.
  base: '/console/',
  build: {
    // Fonts and workers stay separate files, so that the Content-Security-Policy need not allow inline ones.
    assetsInlineLimit: 0,
    // The editor is large, but it is loaded from the same server.
    chunkSizeWarningLimit: 6000,
    license: { fileName: 'licenses.md' },
    modulePreload: { polyfill: false },
    // Directives ("use client") for a compiler that is not used here.
    rolldownOptions: {
      onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning),
    },
  },
  worker: { format: 'es' },
  server: {
    proxy: {
      '/graphql': { target: server, ws: true },
      '/console/icon.svg': server,
      '/console/tabs.json': server,
    },
  },
});
