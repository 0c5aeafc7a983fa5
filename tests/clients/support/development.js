// Makes Apollo Client print the warnings of development. Import it before Apollo Client.

globalThis.__DEV__ = true;
