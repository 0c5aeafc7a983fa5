// Shows what the console gateway was given, and looks again every two seconds.
const list = document.getElementById('messages');
const to = new URLSearchParams(location.search).get('to') ?? '';
document.querySelector('[name=to]').value = to;

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

async function show() {
  const query = to ? `?${new URLSearchParams({ to })}` : '';
  const answer = await fetch(`/dev/messages${query}`, { headers: { accept: 'application/json' } });
  const { data } = await answer.json();
  list.replaceChildren(
    ...data.messages.map((message) => {
      const item = element('li', '');
      const when = new Date(message.createdAt).toLocaleString();
      item.append(element('small', `${message.kind} to ${message.to}, ${when}`), element('p', message.body));
      return item;
    }),
  );
}

show();
setInterval(show, 2000);
