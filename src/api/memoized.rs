//! Shared responses of subscriptions: a state is resolved once and sent to all clients with the same operation.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use super::operation_key::OperationKey;
use crate::platform::response_memo::ResponseMemo;

/// A state that stores the responses resolved from it.
pub trait HasMemo {
    /// The stored responses.
    fn memo(&self) -> &ResponseMemo;
}

/// Resolved once for all equal operations, unless the response depends on the viewer or has an error.
pub struct Memoized<T>(pub T);

impl<T: OutputType + HasMemo> OutputType for Memoized<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let Some(operation) = ctx.data_opt::<OperationKey>() else {
            return self.0.resolve(ctx, field).await;
        };
        if let Some(value) = self.0.memo().get::<Arc<Value>>(&operation.hash()) {
            return Ok(Value::clone(&value));
        }
        operation.reset();
        let value = self.0.resolve(ctx, field).await?;
        let has_errors = ctx.query_env.errors.lock().is_ok_and(|errors| !errors.is_empty());
        if !operation.is_viewer_dependent() && !has_errors {
            self.0.memo().insert(operation.hash(), Arc::new(value.clone()));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_graphql::{Context, EmptyMutation, EmptySubscription, Object, Request, Schema};

    use super::*;
    use crate::api::context::ContextExt;
    use crate::api::results::{NullableResult, respond};
    use crate::api::viewer::{Caller, RequestCaller};
    use crate::error::Error;
    use crate::platform::vault::Hash;

    /// A state that counts how often it was resolved.
    #[derive(Default)]
    struct Counter {
        memo: ResponseMemo,
        resolved: AtomicU32,
    }

    impl Counter {
        fn count(&self) -> u32 {
            self.resolved.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    struct State(Arc<Counter>);

    impl HasMemo for State {
        fn memo(&self) -> &ResponseMemo {
            &self.0.memo
        }
    }

    #[Object]
    impl State {
        async fn resolutions(&self) -> u32 {
            self.0.count()
        }

        async fn count_by_viewer(&self, ctx: &Context<'_>) -> u32 {
            drop(ctx.viewer());
            self.0.count()
        }

        async fn count_and_fail(&self, ctx: &Context<'_>) -> NullableResult<u32> {
            self.0.count();
            respond(ctx, async { Err(Error::not_found("state")) }).await
        }
    }

    struct Query(Arc<Counter>);

    #[Object]
    impl Query {
        async fn state(&self) -> Memoized<State> {
            Memoized(State(self.0.clone()))
        }
    }

    /// Runs one field for two operations. Returns how often it was resolved, and whether both had an error.
    async fn resolve_twice(field: &str, hashes: [Hash; 2]) -> (u32, bool) {
        let counter = Arc::new(Counter::default());
        let schema = Schema::new(Query(counter.clone()), EmptyMutation, EmptySubscription);
        let mut errors = 0;
        for hash in hashes {
            let request = Request::new(format!("{{ state {{ {field} }} }}"))
                .data(OperationKey::new(hash))
                .data(RequestCaller(Caller::anonymous()));
            let response = schema.execute(request).await;
            assert!(response.data.to_string().contains(field), "{:?}", response.errors);
            errors += response.errors.len();
        }
        (counter.resolved.load(Ordering::Relaxed), errors == 2)
    }

    #[tokio::test]
    async fn equal_operations_share_a_response() {
        assert_eq!(resolve_twice("resolutions", [[1; 32]; 2]).await, (1, false));
        assert_eq!(resolve_twice("resolutions", [[1; 32], [2; 32]]).await, (2, false));
    }

    #[tokio::test]
    async fn viewer_dependent_responses_are_not_shared() {
        assert_eq!(resolve_twice("countByViewer", [[1; 32]; 2]).await, (2, false));
    }

    #[tokio::test]
    async fn responses_with_errors_are_not_shared() {
        assert_eq!(resolve_twice("countAndFail", [[1; 32]; 2]).await, (2, true));
    }
}
