import { useGraphiQL } from '@graphiql/react';
import { useState } from 'react';

/** The selected files, by the name of their variable. */
const chosenFor = new Map();

/** The operation's variables of type Upload: `$file: Upload!` takes one file, `$files: [Upload!]!` several. */
function uploads(operation) {
  return (operation?.variableDefinitions ?? []).flatMap((definition) => {
    let { type } = definition;
    let isList = false;
    while (type.kind !== 'NamedType') {
      isList ||= type.kind === 'ListType';
      type = type.type;
    }
    return type.name.value === 'Upload' ? [{ variable: definition.variable.name.value, isList }] : [];
  });
}

/** The files to send with an operation. Empty if it has no file variables or none was selected. */
export function chosenFiles(operation) {
  return uploads(operation)
    .map((upload) => ({ ...upload, chosen: chosenFor.get(upload.variable) ?? [] }))
    .filter(({ chosen }) => chosen.length > 0);
}

function Files() {
  const operations = useGraphiQL((state) => state.operations);
  const variables = (operations ?? []).flatMap(uploads);
  return (
    <section aria-label="Files">
      <div className="graphiql-doc-explorer-title">Files</div>
      {variables.length === 0 ? (
        <p>
          An operation takes files by variables of the type <code>Upload</code>. The one in the
          editor has none.
        </p>
      ) : (
        variables.map((upload) => <Variable key={upload.variable} {...upload} />)
      )}
    </section>
  );
}

function Variable({ variable, isList }) {
  const [chosen, choose] = useState(chosenFor.get(variable) ?? []);
  const onChange = ({ target }) => {
    chosenFor.set(variable, [...target.files]);
    choose([...target.files]);
  };
  return (
    <label className="files-variable">
      <code>${variable}</code> {chosen.map(({ name }) => name).join(', ')}
      <input type="file" multiple={isList} onChange={onChange} />
    </label>
  );
}

function Icon() {
  return (
    <svg viewBox="3 2 20 20" fill="none" stroke="currentColor" strokeWidth="1.25" aria-hidden="true">
      <path d="M20 11.5 12.5 19a5 5 0 0 1-7-7L13 4.5a3.3 3.3 0 0 1 4.7 4.7L10.2 16.7a1.6 1.6 0 0 1-2.3-2.3L14.5 7.8" />
    </svg>
  );
}

export const FILES_PLUGIN = { title: 'Files', icon: Icon, content: Files };
