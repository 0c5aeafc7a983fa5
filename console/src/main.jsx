import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { fetcher } from './fetcher.js';
import { FILES_PLUGIN } from './files.jsx';

const plugins = [HISTORY_PLUGIN, FILES_PLUGIN];

// The editors' contents include tokens, so they are kept per browser tab: they survive a reload, but not the tab.
const keptFor = (key) => (key === 'graphiql:theme' ? localStorage : sessionStorage);
const storage = {
  getItem: (key) => keptFor(key).getItem(key),
  setItem: (key, value) => keptFor(key).setItem(key, value),
  removeItem: (key) => keptFor(key).removeItem(key),
  clear: () => sessionStorage.clear(),
  get length() {
    return sessionStorage.length;
  },
};

const response = await fetch('/console/tabs.json');
const tabs = await response.json();
// GraphiQL restores the operation from its tab, but the variables and headers only from these properties.
const isNew = storage.getItem('graphiql:tabState') === null;

createRoot(document.getElementById('console')).render(
  <GraphiQL
    defaultEditorToolsVisibility
    defaultTabs={tabs}
    defaultTheme="light"
    fetcher={fetcher}
    initialVariables={isNew ? tabs[0].variables : undefined}
    plugins={plugins}
    shouldPersistHeaders
    showPersistHeadersSettings={false}
    storage={storage}
  >
    <GraphiQL.Logo>
      <span className="switchboard">Switchboard</span>
    </GraphiQL.Logo>
  </GraphiQL>,
);
