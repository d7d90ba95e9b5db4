/**
 * How the viewer is bundled: hashed files and nothing inline, so that the strict content security
 * policy of src/server/security.ts holds without exceptions.
 */

import { defineConfig, type UserConfig } from 'vite';

const config: UserConfig = defineConfig({
  root: import.meta.dirname,
  base: '/',
  build: {
    outDir: '../dist/viewer',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
  },
});

// Vite asks for a default export.
export default config;
