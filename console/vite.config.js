import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.SWITCHBOARD ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [react()],
  // The page is at /, what it loads is below /console/.
  base: '/console/',
  build: {
    // Fonts and workers stay files of their own, so that the page's policy need not allow more for them.
    assetsInlineLimit: 0,
    // An editor is large, and it is loaded from the same machine.
    chunkSizeWarningLimit: 6000,
    license: { fileName: 'licenses.md' },
    modulePreload: { polyfill: false },
    // Directives for a compiler that has run already.
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
