//! GraphQL of a call.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde_json::{Map, Value};

use super::context::{access, connections_state};
use super::http_method::HttpMethod;
use crate::api::scalars::{DateTime, Json, Long, RawJson};
use crate::api::{ContextExt, NullableResult, respond, try_respond};
use crate::connections::call::ResponseBody;
use crate::connections::{self, CallInput, call_provider};

/// A request to the provider of a connection.
#[derive(InputObject)]
pub struct CallConnectionInput {
    /// The reference of the connection.
    reference: ID,
    /// The secret of the connection. It may stand in the header `Connection-Secret` instead.
    secret: Option<String>,
    /// The HTTP method.
    #[graphql(default_with = "HttpMethod::Get")]
    method: HttpMethod,
    /// The path below the provider's base URL, such as "/user/repos". Never a URL.
    path: String,
    /// The query: an object of strings, numbers, booleans, or lists of them.
    query: Option<Json>,
    /// Headers: an object of strings. `Authorization`, `Host`, `Cookie` and the like are refused.
    headers: Option<Json>,
    /// Sent on as the header `Idempotency-Key`. Makes repeating a POST safe where the provider knows such keys.
    idempotency_key: Option<String>,
    /// What is sent: a string as it is, anything else as JSON or as a form, as the provider takes it or the `Content-Type`
    /// in `headers` says.
    payload: Option<Json>,
    /// The id of a mapping for the answer.
    mapping: Option<ID>,
}

/// What a provider answered.
pub struct CallResult(connections::CallResult);

/// What a provider answered, whatever its status.
#[Object]
impl CallResult {
    /// The provider's HTTP status, 4xx and 5xx included.
    async fn status(&self) -> i32 {
        self.0.response.status.as_u16().into()
    }

    /// The provider's headers, by their names in lower case.
    async fn headers(&self) -> Json {
        let headers = self.0.response.headers.iter();
        let headers: Map<String, Value> =
            headers.map(|(name, value)| (name.clone(), value.clone().into())).collect();
        Json(headers.into())
    }

    /// The body: the provider's own JSON, with its order of keys and its digits; or a string, when it answered other text.
    /// Null when there is none, or it is no text.
    async fn body(&self) -> Option<RawJson> {
        match &self.0.response.body {
            ResponseBody::Json(json) => Some(RawJson(json.clone())),
            ResponseBody::Text(text) => serde_json::value::to_raw_value(text).ok().map(RawJson),
            ResponseBody::Empty | ResponseBody::Base64(_) => None,
        }
    }

    /// The body in base64, when it is neither JSON nor text.
    async fn body_base64(&self) -> Option<&str> {
        match &self.0.response.body {
            ResponseBody::Base64(text) => Some(text),
            _ => None,
        }
    }

    /// What the mapping makes of the body. Null without a mapping, and when the status is not 2xx.
    async fn mapped(&self, ctx: &Context<'_>) -> NullableResult<RawJson> {
        match self.0.mapped.as_ref()? {
            Ok(json) => Some(Ok(RawJson(json.clone()))),
            Err(error) => try_respond(ctx, Err(error.clone())),
        }
    }

    /// How long the call took in milliseconds, with all attempts.
    async fn duration_ms(&self) -> i32 {
        i32::try_from(self.0.duration.as_millis()).unwrap_or(i32::MAX)
    }

    /// How often the request was sent.
    async fn attempts(&self) -> i32 {
        i32::try_from(self.0.attempts).unwrap_or(i32::MAX)
    }

    /// The provider's rate limit, as its headers tell it. Null if they do not.
    async fn rate_limit(&self) -> Option<RateLimit> {
        let limit = self.0.rate_limit?;
        Some(RateLimit {
            limit: limit.limit.map(Long),
            remaining: limit.remaining.map(Long),
            reset_at: limit.reset_at.map(DateTime),
        })
    }
}

/// A provider's rate limit.
#[derive(SimpleObject)]
pub struct RateLimit {
    /// The calls that are allowed in a period.
    limit: Option<Long>,
    /// The calls that are left of them.
    remaining: Option<Long>,
    /// When the period ends.
    reset_at: Option<DateTime>,
}

/// Calling providers.
#[derive(Default)]
pub struct CallMutation;

#[Object]
impl CallMutation {
    /// Calls the provider of a connection with its credentials. Returns what the provider answers, whatever the status.
    async fn call_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The connection and the request.")] input: CallConnectionInput,
    ) -> NullableResult<CallResult> {
        let access = access(ctx, &input.reference, input.secret.as_deref());
        let call = CallInput {
            method: input.method.into(),
            path: input.path,
            query: input.query.map(|query| query.0),
            headers: input.headers.map(|headers| headers.0),
            idempotency_key: input.idempotency_key,
            payload: input.payload.map(|payload| payload.0),
            mapping: input.mapping.map(|id| id.to_string()),
        };
        let called = async {
            let (connections, platform) = (connections_state(ctx), ctx.shared_platform());
            Ok(CallResult(call_provider(connections, &platform, &access, call).await?))
        };
        respond(ctx, Box::pin(called)).await
    }
}
