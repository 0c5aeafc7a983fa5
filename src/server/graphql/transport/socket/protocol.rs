//! Messages of the two subprotocols, `graphql-transport-ws` and the older `graphql-ws`, which GraphQL Playground uses:
//! parses and writes them, and finds the token in `connection_init`.

use async_graphql::ServerError;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Map, Value, json};

use crate::platform::json::{self, UntrustedJson};
use crate::server::graphql::request::parameters::GraphQLRequest;

const MAX_ID_LEN: usize = 256;

/// A subprotocol of the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// The subprotocol `graphql-transport-ws`, as the npm client graphql-ws 6 documents it.
    GraphqlTransportWs,
    /// The subprotocol `graphql-ws`, as the npm client subscriptions-transport-ws documents it.
    Legacy,
}

/// A message of a client.
#[derive(Debug)]
pub enum ClientMessage {
    /// Initialises the connection, with the payload that may contain a token.
    Init(Map<String, Value>),
    /// A ping, with its payload.
    Ping(Option<Value>),
    /// A pong.
    Pong,
    /// Starts an operation with this id.
    Subscribe(String, Box<GraphQLRequest>),
    /// Ends the operation with this id.
    Complete(String),
    /// Ends the connection.
    Terminate,
}

#[derive(Deserialize)]
struct RawMessage {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<UntrustedJson>,
}

impl Subprotocol {
    /// The subprotocol with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "graphql-transport-ws" => Some(Self::GraphqlTransportWs),
            "graphql-ws" => Some(Self::Legacy),
            _ => None,
        }
    }

    /// Parses a message. The error is the reason for closing the socket.
    pub fn parse(self, text: &str) -> Result<ClientMessage, String> {
        let message: RawMessage =
            json::from_slice(text.as_bytes()).map_err(|error| match error.classify() {
                Category::Data => {
                    "A message is a JSON object with type, and id as a string.".to_owned()
                }
                _ => format!("A message is a JSON object: {error}."),
            })?;
        let id = |id: Option<String>| {
            id.filter(|id| (1..=MAX_ID_LEN).contains(&id.len()))
                .ok_or_else(|| format!("id must have 1 to {MAX_ID_LEN} bytes."))
        };
        let payload = message.payload.map(|payload| payload.0);
        match (self, message.kind.as_str()) {
            (_, "connection_init") => match payload {
                None | Some(Value::Null) => Ok(ClientMessage::Init(Map::new())),
                Some(Value::Object(payload)) => Ok(ClientMessage::Init(payload)),
                Some(_) => Err("The payload of connection_init must be an object.".into()),
            },
            (Self::GraphqlTransportWs, "ping" | "pong")
                if payload.as_ref().is_some_and(|payload| !is_object_or_null(payload)) =>
            {
                Err("The payload of a ping or a pong must be an object.".into())
            }
            (Self::GraphqlTransportWs, "ping") => Ok(ClientMessage::Ping(payload)),
            (Self::GraphqlTransportWs, "pong") => Ok(ClientMessage::Pong),
            (Self::GraphqlTransportWs, "subscribe") | (Self::Legacy, "start") => {
                let request = GraphQLRequest::from_json(payload.unwrap_or_default())?;
                Ok(ClientMessage::Subscribe(id(message.id)?, Box::new(request)))
            }
            (Self::GraphqlTransportWs, "complete") | (Self::Legacy, "stop") => {
                Ok(ClientMessage::Complete(id(message.id)?))
            }
            (Self::Legacy, "connection_terminate") => Ok(ClientMessage::Terminate),
            _ => Err("There is no message of that type.".into()),
        }
    }

    /// The message that acknowledges the initialisation.
    pub fn ack_message() -> String {
        json!({ "type": "connection_ack" }).to_string()
    }

    /// The message that rejects the initialisation, if the subprotocol has one.
    pub fn connection_error_message(self, errors: &[ServerError]) -> Option<String> {
        let message = json!({ "type": "connection_error", "payload": errors.first() });
        (self == Self::Legacy).then(|| message.to_string())
    }

    /// The message that responds to a ping, with its payload.
    pub fn pong_message(payload: Option<Value>) -> String {
        match payload {
            Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
            None => json!({ "type": "pong" }).to_string(),
        }
    }

    /// The message with a response of an operation, which is JSON already.
    pub fn next_message(self, id: &str, json: &str) -> String {
        let kind = match self {
            Self::GraphqlTransportWs => "next",
            Self::Legacy => "data",
        };
        format!(r#"{{"id":{},"type":"{kind}","payload":{json}}}"#, Value::from(id))
    }

    /// The message with the errors because of which an operation cannot run or continue.
    pub fn error_message(self, id: &str, errors: &[ServerError]) -> String {
        let payload = match self {
            Self::GraphqlTransportWs => json!(errors),
            Self::Legacy => json!(errors.first()),
        };
        json!({ "id": id, "type": "error", "payload": payload }).to_string()
    }

    /// The message that an operation is complete.
    pub fn complete_message(id: &str) -> String {
        json!({ "id": id, "type": "complete" }).to_string()
    }
}

fn is_object_or_null(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Null)
}

/// The value of `Authorization` in the payload of `connection_init`, at the top or inside `headers`.
pub fn authorization(payload: &Map<String, Value>) -> Option<&str> {
    fn member<'m>(map: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
        map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
    let inside = || member(member(payload, "headers")?.as_object()?, "authorization");
    member(payload, "authorization").or_else(inside)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_is_found_where_clients_put_it() {
        for (payload, expected) in [
            (json!({ "Authorization": "Bearer a" }), Some("Bearer a")),
            (json!({ "authorization": "Bearer b" }), Some("Bearer b")),
            (json!({ "headers": { "Authorization": "Bearer c" } }), Some("Bearer c")),
            (json!({ "headers": "none" }), None),
            (json!({ "Authorization": null }), None),
            (json!({}), None),
        ] {
            assert_eq!(
                authorization(payload.as_object().expect("an object")),
                expected,
                "{payload}"
            );
        }
    }

    #[test]
    fn invalid_messages_are_rejected() {
        use Subprotocol::{GraphqlTransportWs, Legacy};
        for (protocol, text) in [
            (GraphqlTransportWs, "rubbish"),
            (GraphqlTransportWs, "[]"),
            (GraphqlTransportWs, r#"{"id":"1"}"#),
            (GraphqlTransportWs, r#"{"type":"start","id":"1","payload":{}}"#),
            (GraphqlTransportWs, r#"{"type":"subscribe","id":1,"payload":{}}"#),
            (GraphqlTransportWs, r#"{"type":"subscribe","payload":{}}"#),
            (GraphqlTransportWs, r#"{"type":"subscribe","id":"","payload":{}}"#),
            (GraphqlTransportWs, r#"{"type":"subscribe","id":"1"}"#),
            (GraphqlTransportWs, r#"{"type":"subscribe","id":"1","payload":{"query":5}}"#),
            (GraphqlTransportWs, r#"{"type":"connection_init","payload":[]}"#),
            (GraphqlTransportWs, r#"{"type":"ping","payload":1}"#),
            (Legacy, r#"{"type":"ping"}"#),
        ] {
            assert!(protocol.parse(text).is_err(), "{text}");
        }
    }
}
