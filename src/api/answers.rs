//! How a deed's outcome becomes an answer.
//!
//! A nullable field returns [`Answer`], a non-null one `Result<T, ApiError>`: `Result<Option<T>>` would
//! null the parent object. Every failure leaves through here, where its cause is logged, once.

use std::future::Future;
use std::time::Duration;

use async_graphql::{Context, ErrorExtensionValues, Name, Value, resolver_utils::EnumType};
use futures_util::stream::{BoxStream, once};
use futures_util::{Stream, StreamExt};

use super::Demoted;
use crate::error::{Error, ErrorCode, Failure};

/// The value of a nullable field: null beside an error when it fails.
pub type Answer<T> = Option<Result<T, ApiError>>;

/// One failure on its way to the client. It has no `Display`, which async-graphql would show.
#[derive(Clone, Debug)]
pub struct ApiError(Failure);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        error.log();
        Self(error.failures()[0].clone())
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(ApiError(failure): ApiError) -> Self {
        let mut error = Self::new(failure.message.clone());
        error.extensions = Some(extensions_of(&failure));
        error
    }
}

/// Answers a nullable field with what the deed did. Several failures become several errors.
pub async fn answer<T>(
    ctx: &Context<'_>,
    deed: impl Future<Output = Result<T, Error>>,
) -> Answer<T> {
    reply(ctx, deed.await)
}

/// The same for a deed that is done.
pub fn reply<T>(ctx: &Context<'_>, outcome: Result<T, Error>) -> Answer<T> {
    let error = match outcome {
        Ok(value) => return Some(Ok(value)),
        Err(error) => error,
    };
    error.log();
    let (last, others) = error.failures().split_last()?;
    for failure in others {
        let error: async_graphql::Error = ApiError(failure.clone()).into();
        ctx.add_error(ctx.set_error_path(error.into_server_error(ctx.item.pos)));
    }
    Some(Err(ApiError(last.clone())))
}

/// What stands in `extensions`, but for the request's id, which the edge adds.
pub fn extensions_of(failure: &Failure) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", name_of(failure.code));
    values.set("status", failure.code.status().as_str());
    if let Some(field) = &failure.field {
        values.set("field", &**field);
    }
    if let Some(reason) = failure.reason {
        values.set("reason", reason);
    }
    values.set("retryable", failure.code.retryable());
    if let Some(wait) = failure.retry_after {
        values.set("retryAfter", whole_seconds(wait));
    }
    values
}

fn name_of(code: ErrorCode) -> Value {
    let named = ErrorCode::items().iter().find(|item| item.value == code);
    Value::Enum(Name::new(named.expect("every code is an item").name))
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Answers a subscription with states as they come. One that cannot be read, or no longer may be, is its
/// last answer.
pub fn live<T>(
    states: impl Stream<Item = Result<T, Error>> + Send + 'static,
) -> BoxStream<'static, Result<T, ApiError>> {
    // In a box: async-graphql keeps room for a stream wherever it passes through.
    states.map(|state| state.map_err(ApiError::from)).boxed()
}

/// The same for what only administrators may see: who is no longer one is told NOT_FOUND, and no more.
pub fn live_for_admins<T, S>(
    ctx: &Context<'_>,
    states: S,
) -> impl Stream<Item = Result<T, ApiError>> + use<T, S>
where
    T: Send + 'static,
    S: Stream<Item = Result<T, Error>> + Send + 'static,
{
    let Demoted(demoted) = ctx.data_unchecked::<Demoted>().clone();
    let lost = once(async { Err(Error::not_found("subscription")) });
    live(states.take_until(demoted).chain(lost))
}
