import { getOperationAST, parse } from 'graphql';
import { createClient } from 'graphql-ws';

import { chosenFiles } from './files.jsx';

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** The fetcher that GraphiQL calls for each operation, with the headers of its tab. */
export function fetcher(request, { headers } = {}) {
  const operation = operationOf(request);
  if (operation?.operation === 'subscription') {
    return subscribe(request, headers);
  }
  const files = chosenFiles(operation);
  return send(files.length > 0 ? withFiles(request, files) : asJson(request), headers);
}

/** The operation to run. GraphiQL passes one too, which lags behind its editor. */
function operationOf({ query, operationName }) {
  try {
    return getOperationAST(parse(query), operationName);
  } catch {
    // The server reports the syntax error.
    return null;
  }
}

async function send({ body, headers: own }, headers) {
  const answer = await fetch('/graphql', {
    method: 'POST',
    headers: { accept: ACCEPT, ...own, ...headers },
    body,
  });
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return { errors: [{ message: `${answer.status} ${answer.statusText}: ${text.slice(0, 500)}` }] };
  }
}

function asJson(request) {
  return { body: JSON.stringify(request), headers: { 'content-type': 'application/json' } };
}

/** A form of the multipart request specification: the operation, the map of the files, the files. */
function withFiles(request, files) {
  const variables = { ...request.variables };
  const map = {};
  for (const { variable, isList, chosen } of files) {
    variables[variable] = isList ? chosen.map(() => null) : null;
    chosen.forEach((_, n) => {
      map[Object.keys(map).length] = [`variables.${variable}${isList ? `.${n}` : ''}`];
    });
  }
  const body = new FormData();
  body.append('operations', JSON.stringify({ ...request, variables }));
  body.append('map', JSON.stringify(map));
  files.flatMap(({ chosen }) => chosen).forEach((file, n) => body.append(n, file));
  return { body, headers: { 'apollo-require-preflight': 'true' } };
}

/** A separate socket for each subscription, since each tab may have another user's token. */
function subscribe(request, headers) {
  const url = new URL('/graphql', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  // No reconnect: the user shall see that the socket was closed.
  const client = createClient({ url: url.href, connectionParams: headers, retryAttempts: 0 });
  // Not client.iterate(): GraphiQL could not cancel it while it waits for the next event.
  return {
    subscribe(observer) {
      const error = (failure) =>
        observer.error(failure instanceof CloseEvent ? closed(failure) : failure);
      return { unsubscribe: client.subscribe(request, { ...observer, error }) };
    },
  };
}

function closed({ code, reason }) {
  return { message: `The server closed the socket: ${code} ${reason}`.trim() };
}
