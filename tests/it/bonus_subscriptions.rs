//! Subscriptions to imports.

use serde_json::json;

use crate::support::bonuses::import_all;
use crate::support::socket::MODERN;
use crate::support::{TestApp, on_each_shared_database};

const CHANGED: &str = "subscription { bonusImportsChanged { id status lines } }";
const PROGRESS: &str =
    "subscription ($id: ID!) { bonusImportProgress(id: $id) { id status lines } }";

#[tokio::test]
async fn administrators_watch_imports() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let player = app.signed_in("ann").await;
        let admin = app.admin().await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(MODERN, player.token.as_deref()).await;
        socket.subscribe("1", CHANGED, json!({})).await;
        assert_eq!(socket.error("1").await, "FORBIDDEN");

        import_all(&app, &admin, "Earlier", "0612345678").await;
        let mut socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        socket.subscribe("all", CHANGED, json!({})).await;
        socket.assert_quiet().await;
        let started = admin.import("Spring", "0612345678\n0687654321").await;
        let id = started.text("/importBonuses/id");
        let state =
            |field: &str, status, lines| json!({ field: { "id": id, "status": status, "lines": lines } });
        let change = app.while_time_passes(socket.data("all")).await;
        assert_eq!(change, state("bonusImportsChanged", "QUEUED", 0));
        let mut late = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        late.subscribe("all", CHANGED, json!({})).await;
        assert_eq!(late.data("all").await, state("bonusImportsChanged", "QUEUED", 0), "not ended");
        let mut one = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        one.subscribe("one", PROGRESS, json!({ "id": id })).await;
        assert_eq!(one.data("one").await, state("bonusImportProgress", "QUEUED", 0));

        app.run_due_jobs().await;
        for socket in [&mut late, &mut one] {
            socket.assert_quiet().await;
        }
        let end = app.while_time_passes(late.data("all")).await;
        assert_eq!(end, state("bonusImportsChanged", "COMPLETED", 2), "the last state");
        let end = app.while_time_passes(one.data("one")).await;
        assert_eq!(end, state("bonusImportProgress", "COMPLETED", 2));
        // Time passed before it changed, so that this one may also see it run.
        let end = state("bonusImportsChanged", "COMPLETED", 2);
        while app.while_time_passes(socket.data("all")).await != end {}
    })
    .await;
}
