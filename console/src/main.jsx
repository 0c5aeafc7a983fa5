import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { fetcher } from './fetcher.js';
import { FILES_PLUGIN } from './files.jsx';

const plugins = [HISTORY_PLUGIN, FILES_PLUGIN];

// Tokens are among what the editors hold: it survives a reload, and ends with the browser's tab.
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

const answered = await fetch('/console/tabs.json');
const tabs = await answered.json();
// GraphiQL fills the first editor from its tab, but the editors below only from here.
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
