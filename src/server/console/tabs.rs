//! The tabs that GraphiQL and Playground open: the operations of the documentation's recipes, in an order in which they
//! work one after the other.
//!
//! `<paste login.accessToken>` stands for that value in the response of the last earlier tab that has it.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Value, json};

static TABS: LazyLock<Vec<Tab>> = LazyLock::new(|| {
    vec![
        Tab::new(include_str!("tabs/signup.graphql")).with_variables(&json!({ "input": {
            "phone": "+31612345678", "name": "Ann", "password": "correct horse battery"
        } })),
        Tab::new(include_str!("tabs/login.graphql")).with_variables(&json!({ "input": {
            "identifier": "+31612345678", "password": "correct horse battery"
        } })),
        Tab::new(include_str!("tabs/add_contact.graphql"))
            .with_variables(&json!({ "input": { "name": "Bob", "phone": "+31 6 8765 4321" } }))
            .with_access_token(),
        Tab::new(include_str!("tabs/update_contact.graphql"))
            .with_variables(&json!({ "input": { "id": "<paste addContact.id>", "name": "Bobby" } }))
            .with_access_token(),
        Tab::new(include_str!("tabs/me.graphql")).with_access_token(),
        Tab::new(include_str!("tabs/profile.graphql"))
            .with_variables(&json!({ "id": "<paste me.profile.id>" }))
            .with_access_token(),
        Tab::new(include_str!("tabs/end_session.graphql"))
            .with_variables(&json!({ "id": "<paste me.sessions.1.id>" }))
            .with_access_token(),
        Tab::new(include_str!("tabs/contacts.graphql"))
            .with_variables(&json!({ "first": 10 }))
            .with_access_token(),
        Tab::new(include_str!("tabs/remove_contact.graphql"))
            .with_variables(&json!({ "id": "<paste addContact.id>" }))
            .with_access_token(),
        Tab::new(include_str!("tabs/start_round.graphql"))
            .with_variables(&json!({ "game": "COIN_FLIP" }))
            .with_access_token(),
        Tab::new(include_str!("tabs/play_game.graphql"))
            .with_variables(&json!({ "input": {
                "roundId": "<paste startRound.id>",
                "move": { "coinFlip": "HEADS" },
                "clientSeed": "a four-leaf clover"
            } }))
            .with_access_token(),
        Tab::new(include_str!("tabs/verify_round.graphql"))
            .with_variables(&json!({ "id": "<paste startRound.id>" })),
        Tab::new(include_str!("tabs/create_connection.graphql")).with_variables(
            &json!({ "input": {
                "provider": "demo", "scheme": "API_KEY", "credentials": { "apiKey": "demo-key" }
            } }),
        ),
        Tab::new(include_str!("tabs/create_mapping.graphql")).with_variables(&json!({ "input": {
            "items": "data", "mapping": { "name": "first_name", "email": "emails[0]" }
        } })),
        Tab::new(include_str!("tabs/call_connection.graphql")).with_variables(&json!({ "input": {
            "reference": "<paste createConnection.reference>",
            "secret": "<paste createConnection.secret>",
            "path": "/contacts",
            "query": { "page": 3 },
            "mapping": "<paste createMapping.id>"
        } })),
        Tab::new(include_str!("tabs/connection.graphql"))
            .with_variables(&json!({ "reference": "<paste createConnection.reference>" }))
            .with_headers(&json!({ "Connection-Secret": "<paste createConnection.secret>" })),
        Tab::new(include_str!("tabs/refresh.graphql"))
            .with_variables(&json!({ "refreshToken": "<paste login.refreshToken>" })),
        Tab::new(include_str!("tabs/logout.graphql")).with_access_token(),
    ]
});

/// A tab in GraphiQL's format: the text of each editor.
#[derive(Serialize)]
pub struct Tab {
    query: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<String>,
}

impl Tab {
    fn new(query: &'static str) -> Self {
        Self { query, variables: None, headers: None }
    }

    fn with_variables(self, variables: &Value) -> Self {
        Self { variables: Some(to_json_text(variables)), ..self }
    }

    fn with_access_token(self) -> Self {
        self.with_headers(&json!({ "Authorization": "Bearer <paste login.accessToken>" }))
    }

    fn with_headers(self, headers: &Value) -> Self {
        Self { headers: Some(to_json_text(headers)), ..self }
    }
}

/// `GET /console/tabs.json`.
pub async fn tabs() -> axum::Json<&'static [Tab]> {
    axum::Json(&TABS)
}

fn to_json_text(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON values serialize")
}
