//! Answers that follow one another in one HTTP response: server-sent events (graphql-sse, distinct
//! connections mode) and Apollo's multipart subscriptions.
//!
//! Each answer leaves at once. Apollo Client reads a part only when the boundary after it has come, so the
//! boundary is written behind each part, not before the next one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use super::Endpoint;
use super::accept::StreamType;
use super::answer;
use super::operation::{Asker, Step};
use super::slots::Slot;
use crate::accounts::Over;
use crate::error::{ErrorCode, Failure};

/// How often something is sent when there is nothing to tell: proxies close what is silent for a minute.
const BEAT: Duration = Duration::from_secs(12);

static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What is sent next.
enum Event {
    Step(Step),
    Beat,
    Over(Over),
}

/// An open stream.
struct Open {
    endpoint: Arc<Endpoint>,
    asker: Asker,
    steps: BoxStream<'static, Step>,
    over: BoxFuture<'static, Over>,
    form: StreamType,
    _slot: Slot,
}

/// Carries an operation's steps.
pub fn respond(
    endpoint: &Arc<Endpoint>,
    asker: &Asker,
    steps: BoxStream<'static, Step>,
    form: StreamType,
    slot: Slot,
) -> Response {
    let content_type = match form {
        StreamType::Events => "text/event-stream; charset=utf-8",
        StreamType::Multipart => "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0",
    };
    // The head and the first bytes leave at once, so that the client knows that it listens.
    let greeting = match form {
        StreamType::Events => ":\n\n",
        StreamType::Multipart => "--graphql",
    };
    let open = Open {
        endpoint: endpoint.clone(),
        asker: asker.clone(),
        steps,
        over: endpoint.session_over(asker),
        form,
        _slot: slot,
    };
    let following = stream::unfold(Some(open), async |open| {
        let mut open = open?;
        let (text, is_last) = open.next().await?;
        Some((text, (!is_last).then_some(open)))
    });
    let greeting = stream::once(std::future::ready(greeting.to_owned()));
    let body = Body::from_stream(greeting.chain(following).map(Ok::<_, std::convert::Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // Nginx collects what it passes on otherwise.
        (X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

impl Open {
    /// What to send, and whether it is the last. `None` ends the response without a word, so that the
    /// client comes back: the server is stopping.
    async fn next(&mut self) -> Option<(String, bool)> {
        let platform = &self.endpoint.app.platform;
        let event = tokio::select! {
            step = self.steps.next() => Event::Step(step.unwrap_or(Step::Complete)),
            over = &mut self.over => Event::Over(over),
            () = platform.clock.sleep_until(platform.now() + BEAT) => Event::Beat,
            () = self.endpoint.app.stopping.cancelled() => return None,
        };
        Some(match self.form {
            StreamType::Events => self.event(event),
            StreamType::Multipart => self.part(event),
        })
    }

    fn event(&self, event: Event) -> (String, bool) {
        const COMPLETE: &str = "event: complete\ndata:\n\n";
        let next = |json: &str| format!("event: next\ndata: {json}\n\n");
        match event {
            Event::Step(Step::Next(json)) => (next(&json), false),
            Event::Step(Step::Error(errors)) => {
                let json = serde_json::json!({ "errors": errors }).to_string();
                (next(&json) + COMPLETE, true)
            }
            Event::Step(Step::Complete) => (COMPLETE.to_owned(), true),
            Event::Beat => (":\n\n".to_owned(), false),
            Event::Over(over) => {
                let json = serde_json::json!({ "errors": self.over_errors(over) }).to_string();
                (next(&json) + COMPLETE, true)
            }
        }
    }

    fn part(&self, event: Event) -> (String, bool) {
        let part =
            |json: String| format!("\r\ncontent-type: application/json\r\n\r\n{json}\r\n--graphql");
        let last = |json: String| (part(json) + "--\r\n", true);
        match event {
            Event::Step(Step::Next(json)) => (part(format!("{{\"payload\":{json}}}")), false),
            Event::Step(Step::Error(errors)) => {
                last(serde_json::json!({ "payload": { "errors": errors } }).to_string())
            }
            Event::Step(Step::Complete) => ("--\r\n".to_owned(), true),
            Event::Beat => (part("{}".to_owned()), false),
            Event::Over(over) => last(
                serde_json::json!({ "payload": null, "errors": self.over_errors(over) })
                    .to_string(),
            ),
        }
    }

    fn over_errors(&self, over: Over) -> Vec<async_graphql::ServerError> {
        let code = match over {
            Over::Session => ErrorCode::Unauthenticated,
            Over::Account => ErrorCode::AccountDeleted,
        };
        answer::errors(vec![(Failure::new(code, over.reason()), None)], &self.asker.id)
    }
}
