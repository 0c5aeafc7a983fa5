// GraphiQL from the CDN, on the page that stands in for the console.
(async () => {
  const socket = new URL('/graphql', location.href);
  socket.protocol = socket.protocol.replace('http', 'ws');
  const fetcher = GraphiQL.createFetcher({ url: '/graphql', subscriptionUrl: socket.href });
  const defaultTabs = await (await fetch('/console/tabs.json')).json();
  const props = { defaultEditorToolsVisibility: true, defaultTabs, defaultTheme: 'light', fetcher };
  // GraphiQL fills the first query from its tab, but the variables below only from here.
  if (localStorage.getItem('graphiql:tabState') === null) {
    props.variables = defaultTabs[0].variables;
  }
  ReactDOM.createRoot(document.getElementById('console')).render(React.createElement(GraphiQL, props));
})();
