//! `/graphql`: one road for every operation, and the transports that lead to it. `engine` checks and runs,
//! `operation` runs for somebody; `http`, `uploads`, `streaming` and `socket` carry questions and answers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::accounts::{Over, session_over};
use crate::api::Caller;
use crate::app::App;
use crate::error::{ErrorCode, Failure};
use answer::Refusal;
use operation::Asker;
use slots::{Slot, Slots};

mod accept;
mod answer;
mod coercion;
mod cost;
mod documents;
mod engine;
mod faults;
mod guard;
mod http;
mod literals;
mod omission;
mod operation;
mod parse;
mod question;
mod repeated;
mod slots;
mod socket;
mod streaming;
mod subscriptions;
mod tokens;
mod types;
mod uploads;
mod values;

pub use engine::Engine;
pub use http::Told;

use super::edge::RequestId;
use super::origins::Origins;

/// How many requests with files of one user are read at once: each may fill the disk with its own.
const UPLOADS_AT_ONCE: u32 = 4;

/// What answers at `/graphql`.
pub struct Endpoint {
    app: Arc<App>,
    engine: Arc<Engine>,
    slots: Slots,
    uploads: Slots,
    origins: Origins,
}

impl Endpoint {
    /// Answers with this engine.
    pub fn new(app: Arc<App>, engine: Engine) -> Self {
        let slots = Slots::new(app.config.graphql.streams.per_owner);
        let uploads = Slots::new(UPLOADS_AT_ONCE);
        let origins = Origins::new(&app.config);
        Self { app, engine: Arc::new(engine), slots, uploads, origins }
    }

    /// Room for another stream of the asker's.
    fn slot(&self, asker: &Asker) -> Result<Slot, Refusal> {
        self.slots.take(asker).ok_or_else(|| too_many("Too many streams are open."))
    }

    /// Ends when the asker's session is over. Never, if there is none.
    fn session_over(&self, asker: &Asker) -> BoxFuture<'static, Over> {
        match &asker.caller {
            Caller::SignedIn(viewer) => {
                let (platform, viewer) = (self.app.platform.clone(), *viewer);
                async move { session_over(&platform, viewer.user, viewer.session).await }.boxed()
            }
            _ => std::future::pending().boxed(),
        }
    }
}

fn too_many(message: &str) -> Refusal {
    let failure = Failure::new(ErrorCode::RateLimited, message);
    Refusal::because(StatusCode::TOO_MANY_REQUESTS, failure)
}

/// Answers whatever is sent to `/graphql`.
pub async fn handle(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let id = RequestId::of(request.extensions());
    let answered = match socket::is_asked_for(&request) {
        true => socket::upgrade(&endpoint, request).await,
        false => {
            let (parts, body) = request.into_parts();
            http::answer(&endpoint, &parts, body).await
        }
    };
    answered.unwrap_or_else(|refusal| refusal.into_response(&id))
}
