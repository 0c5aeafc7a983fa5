"""Python's gql 4 against the server: queries, files and subscriptions. `python.test.js` starts it and reads what it prints."""

import asyncio
import json
import sys

from gql import Client, FileVar, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

URL, SOCKET_URL, TOKEN, PICTURE = sys.argv[1:]
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}


def request(text, **variables):
    return GraphQLRequest(text, variable_values=variables)


async def over_http():
    headers = AUTHORIZATION | {"Apollo-Require-Preflight": "true"}
    async with Client(transport=AIOHTTPTransport(url=URL, headers=headers)) as session:
        data = await session.execute(
            request("query ($n: Int!) { me { nickname } number(value: $n) }", n=3.0)
        )
        picture = FileVar(PICTURE, content_type="image/gif")
        upload = request(
            "mutation ($file: Upload!) { uploadAvatar(file: $file) { version } }", file=picture
        )
        uploaded = await session.execute(upload, upload_files=True)
        try:
            await session.execute(request("{ nothing }"))
        except TransportQueryError as error:
            code = error.errors[0]["extensions"]["code"]
    return [data["me"]["nickname"], data["number"], uploaded["uploadAvatar"]["version"], code]


async def over_socket(counter, **options):
    transport = WebsocketsTransport(url=SOCKET_URL, init_payload=AUTHORIZATION, **options)
    async with Client(transport=transport) as session:
        me = await session.execute(request("{ me { nickname } }"))
        watched = request("subscription ($id: String!) { counterChanged(id: $id) { value } }", id=counter)
        add = request("mutation ($id: String!) { addTo(counter: $id, by: 7) { value } }", id=counter)
        values = []
        async for change in session.subscribe(watched):
            values.append(change["counterChanged"]["value"])
            if len(values) == 2:
                break
            await session.execute(add)
        return [transport.subprotocol, me["me"]["nickname"], values]


async def main():
    modern = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    results = {
        "http": await over_http(),
        "socket": await over_socket("python"),
        "modern": await over_socket("python-modern", subprotocols=modern),
    }
    print(json.dumps(results))


asyncio.run(main())
