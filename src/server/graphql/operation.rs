//! Running one operation for somebody, whatever carries its answers.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, HashMapCache};
use async_graphql::parser::types::OperationType;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{Response, ServerError, Value};
use axum::http::request::Parts;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tracing::Instrument;

use super::Endpoint;
use super::answer::{self, complete};
use super::engine::{Prepared, was_executed};
use super::question::Question;
use crate::accounts::{Client, demoted, still_signed_in};
use crate::api::{Caller, Demoted, Viewer};
use crate::avatars::loaders::AvatarByUser;
use crate::coins::loaders::EntryByReference;
use crate::contacts::loaders::LookupByPhone;
use crate::error::{ErrorCode, Failure};
use crate::people::Role;
use crate::people::loaders::{DiscoverableByPhone, PersonById};
use crate::server::caller;
use crate::server::edge::RequestId;

/// Who asks, from where, and how the log knows it.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub client: Client,
    /// By which request.
    pub id: RequestId,
}

/// What happens to an operation that is carried by a stream.
#[derive(Debug)]
pub enum Step {
    /// An answer, as JSON.
    Next(String),
    /// It could not run, or cannot go on. Nothing follows.
    Error(Vec<ServerError>),
    /// It is over. Nothing follows.
    Complete,
}

impl Endpoint {
    /// Who sent a request.
    pub async fn asker(&self, parts: &Parts) -> Asker {
        Asker {
            caller: caller::caller(&self.app, &parts.headers).await,
            client: caller::client(&self.app, parts),
            id: RequestId::of(&parts.extensions),
        }
    }

    /// Runs a query or a mutation.
    pub async fn execute(&self, prepared: Prepared, asker: &Asker) -> Response {
        let prepared = self.with_data(prepared, asker);
        let mut response = self.run(prepared).await;
        complete(&mut response.errors, &asker.id);
        response
    }

    /// A mutation goes on when its client leaves: what it has written it also tells.
    async fn run(&self, prepared: Prepared) -> Response {
        let (engine, kind) = (self.engine.clone(), prepared.kind);
        let running = async move { engine.execute(prepared).await };
        if kind != OperationType::Mutation {
            return running.await;
        }
        match self.app.tasks.spawn(running.in_current_span()).await {
            Ok(response) => response,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }

    /// Checks and runs an operation of a socket, which may be older than its user's rights.
    pub fn operate(self: &Arc<Self>, question: Question, asker: Asker) -> BoxStream<'static, Step> {
        let (endpoint, id) = (self.clone(), asker.id.clone());
        let operation = async move {
            let caller = endpoint.still(asker.caller.clone()).await;
            let asker = Asker { caller, ..asker };
            match endpoint.engine.prepare(question, &HashSet::new()) {
                Ok(prepared) => {
                    let (kind, name) = (prepared.kind.to_string(), prepared.name.as_deref());
                    tracing::info!(id = %asker.id.0, kind, name, "operation");
                    endpoint.steps(prepared, &asker)
                }
                Err(faults) => {
                    let errors = answer::errors(faults, &asker.id);
                    stream::once(std::future::ready(Step::Error(errors))).boxed()
                }
            }
        };
        // In a box, which is gone when it runs.
        caught(stream::once(operation.boxed()).flatten(), id)
    }

    /// Runs any operation, step by step.
    pub fn steps(self: &Arc<Self>, prepared: Prepared, asker: &Asker) -> BoxStream<'static, Step> {
        let (kind, id) = (prepared.kind, asker.id.clone());
        let prepared = self.with_data(prepared, asker);
        let answers = match kind {
            OperationType::Subscription => self.engine.clone().stream(prepared),
            _ => {
                let endpoint = self.clone();
                stream::once(async move { endpoint.run(prepared).await }).boxed()
            }
        };
        let over = stream::once(std::future::ready(Step::Complete));
        let told = id.clone();
        caught(answers.map(move |response| step(kind, response, &told)).chain(over), id)
    }

    /// The caller as they are now: the session may be over, the role another one.
    pub async fn still(&self, caller: Caller) -> Caller {
        let Caller::SignedIn(viewer) = caller else { return caller };
        let Viewer { user, session, rotation, .. } = viewer;
        let (accounts, platform) = (&self.app.accounts, &self.app.platform);
        match still_signed_in(accounts, platform, user, session, rotation).await {
            Ok(who) => {
                let is_admin = who.role == Role::Admin;
                Caller::SignedIn(Viewer { is_admin, ..viewer })
            }
            Err(error) => Caller::Refused(error),
        }
    }

    /// When the caller is no administrator any more. Nothing is done unless somebody waits for it.
    fn demoted(&self, caller: &Caller) -> Demoted {
        let platform = self.app.platform.clone();
        Demoted(match caller {
            Caller::SignedIn(Viewer { user, is_admin: true, .. }) => {
                let user = *user;
                async move { demoted(&platform, user).await }.boxed().shared()
            }
            _ => std::future::ready(()).boxed().shared(),
        })
    }

    /// Gives the resolvers what they may ask for: who asks, and loaders for this operation alone.
    fn with_data(&self, mut prepared: Prepared, asker: &Asker) -> Prepared {
        let platform = &self.app.platform;
        let people = DataLoader::with_cache(
            PersonById(platform.clone()),
            TokioSpawner::current(),
            TokioTimer::default(),
            HashMapCache::default(),
        )
        .delay(Duration::ZERO);
        // A subscription lives on: what is remembered would be stale at its next event.
        people.enable_all_cache(prepared.kind != OperationType::Subscription);
        let demoted = self.demoted(&asker.caller);
        prepared.map(|request| {
            request
                .data(demoted)
                .data(asker.caller.clone())
                .data(asker.client.clone())
                .data(loader(AvatarByUser(platform.clone())))
                .data(loader(EntryByReference(platform.clone())))
                .data(loader(LookupByPhone(platform.clone())))
                .data(loader(DiscoverableByPhone(platform.clone())))
                .data(people)
        });
        prepared
    }
}

/// Steps that a panic ends with an error, where it would end everything that shares the task.
fn caught(
    steps: impl Stream<Item = Step> + Send + 'static,
    id: RequestId,
) -> BoxStream<'static, Step> {
    let told = move |step: Result<Step, _>| {
        // The panic itself was logged where it happened.
        step.unwrap_or_else(|_| {
            let failure =
                Failure::new(ErrorCode::InternalServerError, "Something went wrong here.");
            Step::Error(answer::errors(vec![(failure, None)], &id))
        })
    };
    AssertUnwindSafe(steps).catch_unwind().map(told).boxed()
}

/// A loader that waits for nobody and remembers nothing.
fn loader<T>(loader: T) -> DataLoader<T> {
    DataLoader::new(loader, TokioSpawner::current(), TokioTimer::default()).delay(Duration::ZERO)
}

/// A subscription without any data has come to its end; a query or a mutation may have had nothing to say.
fn step(kind: OperationType, mut response: Response, id: &RequestId) -> Step {
    complete(&mut response.errors, id);
    let has_ended = kind == OperationType::Subscription && response.data == Value::Null;
    match has_ended || !was_executed(&response) {
        true => Step::Error(response.errors),
        false => Step::Next(answer::json(&response)),
    }
}
