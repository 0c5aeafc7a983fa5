// GraphQL Playground on this server, with the same tabs as GraphiQL.
(async () => {
  const endpoint = new URL('/graphql', location.href).href;
  const examples = await (await fetch('/console/tabs.json')).json();
  const tabs = examples.map(({ query, variables, headers }) => ({
    endpoint,
    headers: headers && JSON.parse(headers),
    name: /(?:query|mutation|subscription) (\w+)/.exec(query)?.[1],
    query,
    variables,
  }));
  GraphQLPlayground.init(document.getElementById('root'), {
    endpoint,
    subscriptionEndpoint: endpoint.replace(/^http/, 'ws'),
    settings: { 'request.credentials': 'omit', 'schema.polling.enable': false },
    tabs,
  });
})();
