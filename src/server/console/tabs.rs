//! The tabs that GraphiQL and Playground open with: the operations of the book's recipes, in an order in
//! which each works after those before it.
//!
//! `<paste login.accessToken>` stands for what an earlier tab answers there, the last one that does.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Value, json};

static TABS: LazyLock<Vec<Tab>> = LazyLock::new(|| {
    vec![
        Tab::new(include_str!("tabs/signup.graphql")).with(&json!({ "input": {
            "phone": "+31612345678", "name": "Ann", "password": "correct horse battery"
        } })),
        Tab::new(include_str!("tabs/login.graphql")).with(&json!({ "input": {
            "identifier": "+31612345678", "password": "correct horse battery"
        } })),
        Tab::new(include_str!("tabs/add_contact.graphql"))
            .with(&json!({ "input": { "name": "Bob", "phone": "+31 6 8765 4321" } }))
            .signed_in(),
        Tab::new(include_str!("tabs/update_contact.graphql"))
            .with(&json!({ "input": { "id": "<paste addContact.id>", "name": "Bobby" } }))
            .signed_in(),
        Tab::new(include_str!("tabs/me.graphql")).signed_in(),
        Tab::new(include_str!("tabs/profile.graphql"))
            .with(&json!({ "id": "<paste me.profile.id>" }))
            .signed_in(),
        Tab::new(include_str!("tabs/end_session.graphql"))
            .with(&json!({ "id": "<paste me.sessions.1.id>" }))
            .signed_in(),
        Tab::new(include_str!("tabs/contacts.graphql")).with(&json!({ "first": 10 })).signed_in(),
        Tab::new(include_str!("tabs/remove_contact.graphql"))
            .with(&json!({ "id": "<paste addContact.id>" }))
            .signed_in(),
        Tab::new(include_str!("tabs/start_round.graphql"))
            .with(&json!({ "game": "COIN_FLIP" }))
            .signed_in(),
        Tab::new(include_str!("tabs/play_game.graphql"))
            .with(&json!({ "input": {
                "roundId": "<paste startRound.id>",
                "move": { "coinFlip": "HEADS" },
                "clientSeed": "a four-leaf clover"
            } }))
            .signed_in(),
        Tab::new(include_str!("tabs/verify_round.graphql"))
            .with(&json!({ "id": "<paste startRound.id>" })),
        Tab::new(include_str!("tabs/refresh.graphql"))
            .with(&json!({ "refreshToken": "<paste login.refreshToken>" })),
        Tab::new(include_str!("tabs/logout.graphql")).signed_in(),
    ]
});

/// A tab as GraphiQL takes it: what stands in each of its editors.
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

    fn with(self, variables: &Value) -> Self {
        Self { variables: Some(written(variables)), ..self }
    }

    fn signed_in(self) -> Self {
        let token = json!({ "Authorization": "Bearer <paste login.accessToken>" });
        Self { headers: Some(written(&token)), ..self }
    }
}

/// Answers the tabs.
pub async fn tabs() -> axum::Json<&'static [Tab]> {
    axum::Json(&TABS)
}

fn written(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value can be written")
}
