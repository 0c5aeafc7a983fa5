//! States that many subscribe to: what one of them was shown, others who ask for the same are shown too.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use crate::platform::memo::Memo;
use crate::platform::vault::Hash;

/// What an operation asks for, in one value, and whether its answer depends on who asks.
pub struct Asked {
    whole: Hash,
    regards_viewer: AtomicBool,
}

impl Asked {
    /// By the hash of the document, the name of its operation, and the variables.
    pub fn new(whole: Hash) -> Self {
        Self { whole, regards_viewer: AtomicBool::new(false) }
    }

    /// Somebody wants to know who asks.
    pub(super) fn regard_viewer(&self) {
        self.regards_viewer.store(true, Ordering::Relaxed);
    }
}

/// A state with room for what was made of it.
pub trait Remembers {
    /// The room.
    fn memo(&self) -> &Memo;
}

/// Resolved once for all who ask for the same, unless the answer depends on who asks, or has an error.
pub struct Shared<T>(pub T);

impl<T: OutputType + Remembers> OutputType for Shared<T> {
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
        let Some(asked) = ctx.data_opt::<Asked>() else { return self.0.resolve(ctx, field).await };
        if let Some(value) = self.0.memo().get::<Arc<Value>>(&asked.whole) {
            return Ok(Value::clone(&value));
        }
        asked.regards_viewer.store(false, Ordering::Relaxed);
        let value = self.0.resolve(ctx, field).await?;
        let has_errors = ctx.query_env.errors.lock().is_ok_and(|errors| !errors.is_empty());
        if !asked.regards_viewer.load(Ordering::Relaxed) && !has_errors {
            self.0.memo().keep(asked.whole, Arc::new(value.clone()));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use async_graphql::{Context, EmptyMutation, EmptySubscription, Object, Request, Schema};

    use super::*;
    use crate::api::{Answer, Asks, Caller, answer};
    use crate::error::Error;

    /// A state that counts how often it was asked.
    #[derive(Default)]
    struct Counted {
        memo: Memo,
        times: AtomicU32,
    }

    impl Counted {
        fn ask(&self) -> u32 {
            self.times.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    struct Told(Arc<Counted>);

    impl Remembers for Told {
        fn memo(&self) -> &Memo {
            &self.0.memo
        }
    }

    #[Object]
    impl Told {
        async fn times(&self) -> u32 {
            self.0.ask()
        }

        async fn times_by_viewer(&self, ctx: &Context<'_>) -> u32 {
            drop(ctx.viewer());
            self.0.ask()
        }

        async fn times_in_vain(&self, ctx: &Context<'_>) -> Answer<u32> {
            self.0.ask();
            answer(ctx, async { Err(Error::not_found("it")) }).await
        }
    }

    struct Query(Arc<Counted>);

    #[Object]
    impl Query {
        async fn told(&self) -> Shared<Told> {
            Shared(Told(self.0.clone()))
        }
    }

    /// How often the state was asked by two who ask for a field, and whether both were told an error.
    async fn asked_twice(field: &str, whole: [Hash; 2]) -> (u32, bool) {
        let counted = Arc::new(Counted::default());
        let schema = Schema::new(Query(counted.clone()), EmptyMutation, EmptySubscription);
        let mut errors = 0;
        for whole in whole {
            let request = Request::new(format!("{{ told {{ {field} }} }}"))
                .data(Asked::new(whole))
                .data(Caller::Anonymous);
            let response = schema.execute(request).await;
            assert!(response.data.to_string().contains(field), "{:?}", response.errors);
            errors += response.errors.len();
        }
        (counted.times.load(Ordering::Relaxed), errors == 2)
    }

    #[tokio::test]
    async fn who_asks_for_the_same_is_told_the_same() {
        assert_eq!(asked_twice("times", [[1; 32]; 2]).await, (1, false));
        assert_eq!(asked_twice("times", [[1; 32], [2; 32]]).await, (2, false));
    }

    #[tokio::test]
    async fn what_depends_on_who_asks_is_for_them_alone() {
        assert_eq!(asked_twice("timesByViewer", [[1; 32]; 2]).await, (2, false));
    }

    #[tokio::test]
    async fn an_error_is_told_to_each() {
        assert_eq!(asked_twice("timesInVain", [[1; 32]; 2]).await, (2, true));
    }
}
