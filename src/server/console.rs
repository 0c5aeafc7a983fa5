//! GraphiQL, with a tab for each of the first operations somebody wants to try. The page comes from
//! async-graphql and loads GraphiQL from the network.

use std::sync::LazyLock;

use async_graphql::http::GraphiQLSource;
use axum::response::Html;
use serde_json::json;

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let page = GraphiQLSource::build().endpoint("/graphql").title("Switchboard").finish();
    let anchor = "defaultEditorToolsVisibility: true,";
    // Within a script, `</` could end it.
    let tabs = tabs().to_string().replace("</", "<\\/");
    page.replacen(anchor, &format!("{anchor}\n          defaultTabs: {tabs},"), 1)
});

/// The page.
pub async fn page() -> Html<&'static str> {
    Html(&PAGE)
}

fn tabs() -> serde_json::Value {
    let token = json!({ "Authorization": "Bearer <paste the accessToken here>" }).to_string();
    json!([
        {
            "query": include_str!("console/signup.graphql"),
            "variables": json!({ "input": {
                "phone": "+31612345678", "name": "Ann", "password": "correct horse battery"
            } }).to_string(),
        },
        {
            "query": include_str!("console/login.graphql"),
            "variables": json!({ "input": {
                "identifier": "+31612345678", "password": "correct horse battery"
            } }).to_string(),
        },
        {
            "query": include_str!("console/add_contact.graphql"),
            "variables": json!({ "input": { "name": "Bob", "phone": "+31 6 8765 4321" } }).to_string(),
            "headers": token,
        },
        { "query": include_str!("console/me.graphql"), "headers": token },
    ])
}
