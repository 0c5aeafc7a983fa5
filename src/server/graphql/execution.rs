//! Execution of an operation for a requester, on every transport.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, HashMapCache};
use async_graphql::parser::types::OperationType;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{Response, ServerError, Value};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tracing::Instrument;

use super::endpoint::Endpoint;
use super::engine::PreparedOperation;
use super::request::parameters::GraphQLRequest;
use super::request::requester::Requester;
use super::response::{self, complete_errors, was_executed};
use crate::accounts::{admin_revoked, revalidate_session};
use crate::api::{AdminRevoked, Caller, Viewer, attach_caller, attach_client};
use crate::avatars::loaders::AvatarByUser;
use crate::bonuses::loaders::{BonusDelivery, CampaignMessages};
use crate::coins::loaders::EntryByReference;
use crate::contacts::loaders::LookupByPhone;
use crate::error::{ErrorCode, UserError};
use crate::people::Role;
use crate::people::loaders::{DiscoverableByPhone, PersonById};
use crate::server::request_id::RequestId;

/// An item of the stream that an operation becomes on a socket or a streamed response.
#[derive(Debug)]
pub enum StreamItem {
    /// A response, as JSON.
    Next(String),
    /// The operation cannot run or continue. The last item.
    Error(Vec<ServerError>),
    /// The operation is complete. The last item.
    Complete,
}

impl Endpoint {
    /// Runs a query or a mutation.
    pub async fn execute(&self, prepared: PreparedOperation, requester: &Requester) -> Response {
        let prepared = self.with_context_data(prepared, requester);
        let mut response = self.run(prepared).await;
        complete_errors(&mut response.errors, &requester.request_id);
        response
    }

    /// Runs a mutation in a task of its own, so that it completes even if the client disconnects.
    async fn run(&self, prepared: PreparedOperation) -> Response {
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

    /// Checks and runs an operation of a socket. The session and the role are checked again, as the socket may be old.
    pub fn run_socket_operation(
        self: &Arc<Self>,
        request: GraphQLRequest,
        requester: Requester,
    ) -> BoxStream<'static, StreamItem> {
        let (endpoint, id) = (self.clone(), requester.request_id.clone());
        let operation = async move {
            let caller = endpoint.revalidate(requester.caller.clone()).await;
            let requester = Requester { caller, ..requester };
            match endpoint.engine.prepare(request, &HashSet::new()) {
                Ok(prepared) => {
                    let (kind, name) = (prepared.kind.to_string(), prepared.name.as_deref());
                    tracing::info!(id = %requester.request_id.0, kind, name, "operation");
                    endpoint.execute_stream(prepared, &requester)
                }
                Err(errors) => {
                    let errors = response::server_errors(errors, &requester.request_id);
                    stream::once(std::future::ready(StreamItem::Error(errors))).boxed()
                }
            }
        };
        // Boxed so that its memory is freed before the long wait.
        catch_panics(stream::once(operation.boxed()).flatten(), id)
    }

    /// Runs an operation of any kind as a stream.
    pub fn execute_stream(
        self: &Arc<Self>,
        prepared: PreparedOperation,
        requester: &Requester,
    ) -> BoxStream<'static, StreamItem> {
        let (kind, id) = (prepared.kind, requester.request_id.clone());
        let prepared = self.with_context_data(prepared, requester);
        let responses = match kind {
            OperationType::Subscription => self.engine.clone().stream(prepared),
            _ => {
                let endpoint = self.clone();
                stream::once(async move { endpoint.run(prepared).await }).boxed()
            }
        };
        let complete = stream::once(std::future::ready(StreamItem::Complete));
        let item_id = id.clone();
        catch_panics(
            responses.map(move |response| stream_item(kind, response, &item_id)).chain(complete),
            id,
        )
    }

    /// Checks the caller's session and role again. Returns the caller with their current state.
    pub async fn revalidate(&self, caller: Caller) -> Caller {
        let Ok(viewer) = caller.viewer() else { return caller };
        let Viewer { user, session, token_version, .. } = viewer;
        let (accounts, platform) = (&self.app.accounts, &self.app.platform);
        match revalidate_session(accounts, platform, user, session, token_version).await {
            Ok(session) => {
                let is_admin = session.role == Role::Admin;
                Caller::signed_in(Viewer { is_admin, ..viewer })
            }
            Err(error) => Caller::rejected(error),
        }
    }

    /// Resolves when the caller is no longer an administrator. Does nothing until it is polled.
    fn admin_revoked(&self, caller: &Caller) -> AdminRevoked {
        let platform = self.app.platform.clone();
        match caller.viewer() {
            Ok(Viewer { user, is_admin: true, .. }) => {
                AdminRevoked::new(async move { admin_revoked(&platform, user).await })
            }
            _ => AdminRevoked::new(std::future::ready(())),
        }
    }

    /// Adds the data that resolvers use: the caller, and loaders for this operation only.
    fn with_context_data(
        &self,
        mut prepared: PreparedOperation,
        requester: &Requester,
    ) -> PreparedOperation {
        let platform = &self.app.platform;
        let people = DataLoader::with_cache(
            PersonById(platform.clone()),
            TokioSpawner::current(),
            TokioTimer::default(),
            HashMapCache::default(),
        )
        .delay(Duration::ZERO);
        // In a subscription, cached rows would be stale at the next event.
        people.enable_all_cache(prepared.kind != OperationType::Subscription);
        let admin_revoked = self.admin_revoked(&requester.caller);
        prepared.map_request(|request| {
            let request = attach_caller(
                request,
                requester.caller.clone(),
                (requester.client.clone(), requester.client.address),
                admin_revoked,
            );
            attach_client(request, requester.secrets.clone())
                .data(uncached_loader(AvatarByUser(platform.clone())))
                .data(uncached_loader(BonusDelivery(platform.clone())))
                .data(uncached_loader(CampaignMessages(platform.clone())))
                .data(uncached_loader(EntryByReference(platform.clone())))
                .data(uncached_loader(LookupByPhone(platform.clone())))
                .data(uncached_loader(DiscoverableByPhone(platform.clone())))
                .data(people)
        });
        prepared
    }
}

/// Ends a stream with an error if it panics. The panic would end everything else in the task.
fn catch_panics(
    items: impl Stream<Item = StreamItem> + Send + 'static,
    id: RequestId,
) -> BoxStream<'static, StreamItem> {
    let to_item = move |item: Result<StreamItem, _>| {
        // The panic hook has logged the panic.
        item.unwrap_or_else(|_| {
            let error =
                UserError::new(ErrorCode::InternalServerError, "Something went wrong here.");
            StreamItem::Error(response::server_errors(vec![error.into()], &id))
        })
    };
    AssertUnwindSafe(items).catch_unwind().map(to_item).boxed()
}

/// A loader without cache and delay.
fn uncached_loader<T>(loader: T) -> DataLoader<T> {
    DataLoader::new(loader, TokioSpawner::current(), TokioTimer::default()).delay(Duration::ZERO)
}

/// The item of a response. A subscription ends with a response without data; of a query or mutation, `null` is a
/// regular result.
fn stream_item(kind: OperationType, mut response: Response, id: &RequestId) -> StreamItem {
    complete_errors(&mut response.errors, id);
    let has_ended = kind == OperationType::Subscription && response.data == Value::Null;
    match has_ended || !was_executed(&response) {
        true => StreamItem::Error(response.errors),
        false => StreamItem::Next(response::to_json(&response)),
    }
}
