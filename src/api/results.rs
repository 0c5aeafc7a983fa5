//! Results of resolvers: turns the result of a use case into a field's value, or a subscription's stream of states, and
//! GraphQL errors.
//!
//! A nullable field returns [`NullableResult`], a non-null one `Result<T, ApiError>`: `Result<Option<T>>` would
//! null the parent object. Every error of a use case that a resolver answers with passes through here, where its cause
//! is logged once.

use std::future::Future;
use std::time::Duration;

use async_graphql::{Context, ErrorExtensionValues, Name, Value, resolver_utils::EnumType};
use futures_util::stream::{BoxStream, once};
use futures_util::{Stream, StreamExt};

use super::viewer::{AdminRevoked, admins_only};
use crate::error::{Error, ErrorCode, UserError};

/// The value of a nullable field: null plus an error when it fails.
pub type NullableResult<T> = Option<Result<T, ApiError>>;

/// An error for the client. It has no `Display`: async-graphql would send that text to the client.
#[derive(Clone, Debug)]
pub struct ApiError(UserError);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        error.log();
        Self(error.user_errors()[0].clone())
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(ApiError(user_error): ApiError) -> Self {
        let mut error = Self::new(user_error.message.clone());
        error.extensions = Some(error_extensions(&user_error));
        error
    }
}

/// Resolves a nullable field from a use case. Several user errors become several GraphQL errors.
pub async fn respond<T>(
    ctx: &Context<'_>,
    use_case: impl Future<Output = Result<T, Error>>,
) -> NullableResult<T> {
    try_respond(ctx, use_case.await)
}

/// Resolves a nullable field from the result of a use case.
pub fn try_respond<T>(ctx: &Context<'_>, result: Result<T, Error>) -> NullableResult<T> {
    let error = match result {
        Ok(value) => return Some(Ok(value)),
        Err(error) => error,
    };
    error.log();
    let (last, others) = error.user_errors().split_last()?;
    for user_error in others {
        let error: async_graphql::Error = ApiError(user_error.clone()).into();
        ctx.add_error(ctx.set_error_path(error.into_server_error(ctx.item.pos)));
    }
    Some(Err(ApiError(last.clone())))
}

/// The `extensions` of an error, without the request's id, which the server adds.
pub fn error_extensions(user_error: &UserError) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", code_name(user_error.code));
    values.set("status", user_error.code.status().as_str());
    if let Some(field) = &user_error.field {
        values.set("field", &**field);
    }
    if let Some(reason) = user_error.reason {
        values.set("reason", reason);
    }
    values.set("retryable", user_error.code.is_retryable());
    if let Some(wait) = user_error.retry_after {
        values.set("retryAfter", whole_seconds(wait));
    }
    values
}

fn code_name(code: ErrorCode) -> Value {
    let item = ErrorCode::items().iter().find(|item| item.value == code);
    Value::Enum(Name::new(item.expect("every code is an item").name))
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Resolves a subscription to a stream of states. A state that cannot be read, or that the viewer may no longer
/// see, ends it with an error.
pub fn stream_states<T>(
    states: impl Stream<Item = Result<T, Error>> + Send + 'static,
) -> BoxStream<'static, Result<T, ApiError>> {
    // Boxed: async-graphql moves the stream around by value.
    states.map(|state| state.map_err(ApiError::from)).boxed()
}

/// Like [`stream_states`], for administrators only: ends with FORBIDDEN when the viewer is no longer one.
pub fn stream_states_for_admins<T, S>(
    ctx: &Context<'_>,
    states: S,
) -> impl Stream<Item = Result<T, ApiError>> + use<T, S>
where
    T: Send + 'static,
    S: Stream<Item = Result<T, Error>> + Send + 'static,
{
    let revoked = ctx.data_unchecked::<AdminRevoked>().wait();
    let forbidden = once(async { Err(admins_only()) });
    stream_states(states.take_until(revoked).chain(forbidden))
}
