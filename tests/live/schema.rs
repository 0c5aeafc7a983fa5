//! The product's schema with additional fields for tests of the transports: numbers, pages, counters with
//! subscriptions, and file uploads.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use async_graphql::{
    Context, MergedObject, MergedSubscription, Object, Result, Schema, SimpleObject, Subscription,
    Upload,
};
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use switchboard::accounts::graphql::{
    AuthenticationMutation, AuthenticationQuery, CodeMutation, CodeQuery, CodeSubscription,
    DeleteAccountMutation, PasswordMutation, ProfileMutation, SessionMutation,
};
use switchboard::api::scalars::Long;
use switchboard::api::{ApiError, ContextExt, UploadRule, stream_states};
use switchboard::app::App;
use switchboard::avatars::MAX_FILE_BYTES;
use switchboard::avatars::graphql::{AvatarMutation, AvatarSubscription};
use switchboard::contacts::graphql::ContactMutation;
use switchboard::error::{Error, ErrorCode};
use switchboard::games::graphql::{GameMutation, GameQuery};
use switchboard::messages::graphql::{MessageMutation, MessageQuery};
use switchboard::people::graphql::PeopleQuery;
use switchboard::platform::{Platform, vault};
use switchboard::server::graphql::Engine;

/// The product's queries, and numbers and pages.
#[derive(MergedObject, Default)]
pub struct Query(AuthenticationQuery, CodeQuery, PeopleQuery, GameQuery, MessageQuery, NumberQuery);

/// The product's mutations, and counters and files.
#[derive(MergedObject, Default)]
pub struct Mutation(
    AuthenticationMutation,
    CodeMutation,
    SessionMutation,
    ProfileMutation,
    PasswordMutation,
    DeleteAccountMutation,
    ContactMutation,
    AvatarMutation,
    GameMutation,
    MessageMutation,
    CounterMutation,
    FileMutation,
);

/// The product's subscriptions for users, and counters.
#[derive(MergedSubscription, Default)]
pub struct Subscription(CodeSubscription, AvatarSubscription, CounterSubscription);

const UPLOADS: &[UploadRule] = &[
    UploadRule { field: "uploadAvatar", needs_admin: false, max_bytes: MAX_FILE_BYTES },
    UploadRule { field: "keepFile", needs_admin: false, max_bytes: 1 << 20 },
    UploadRule { field: "keepFiles", needs_admin: false, max_bytes: 1 << 20 },
    UploadRule { field: "importFile", needs_admin: true, max_bytes: 8 << 20 },
];

/// The engine of this schema.
pub fn engine(app: &App) -> Result<Engine, String> {
    let schema = Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .data(Arc::<Counters>::default());
    Engine::new(app.add_schema_data(schema).finish(), UPLOADS, app.config.graphql.clone())
}

#[derive(Default)]
struct Counters(Mutex<HashMap<String, i32>>);

impl Counters {
    fn read(&self, id: &str) -> Counter {
        let value = self.0.lock().get(id).copied().unwrap_or_default();
        Counter { id: id.to_owned(), value }
    }
}

fn topic(id: &str) -> String {
    format!("counter:{id}")
}

/// A counter.
#[derive(Clone, SimpleObject)]
struct Counter {
    id: String,
    value: i32,
}

/// An item of a page.
struct Item(i32);

#[Object]
impl Item {
    async fn id(&self) -> i32 {
        self.0
    }

    async fn items(&self, #[graphql(default = 10)] first: i32) -> Vec<Self> {
        (0..first).map(Self).collect()
    }
}

#[derive(Default)]
struct NumberQuery;

#[Object]
impl NumberQuery {
    /// Returns its argument.
    async fn number(&self, value: i32) -> i32 {
        value
    }

    /// Returns its argument.
    async fn long(&self, value: Long) -> Long {
        value
    }

    /// A page of items.
    async fn items(&self, #[graphql(default = 10)] first: i32) -> Vec<Item> {
        (0..first).map(Item).collect()
    }

    /// For administrators.
    async fn secret(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        match ctx.viewer()?.is_admin {
            true => Ok(42),
            false => Err(Error::new(ErrorCode::Forbidden, "This is for administrators.").into()),
        }
    }

    /// Panics in the resolver.
    async fn panic(&self) -> i32 {
        i32::try_from(i64::MAX).expect("a panic on purpose")
    }
}

#[derive(Default)]
struct CounterMutation;

#[Object]
impl CounterMutation {
    /// Adds to a counter.
    async fn add_to(
        &self,
        ctx: &Context<'_>,
        counter: String,
        #[graphql(default = 1)] by: i32,
    ) -> Counter {
        let counters = ctx.data_unchecked::<Arc<Counters>>();
        *counters.0.lock().entry(counter.clone()).or_default() += by;
        ctx.platform().events.publish(&topic(&counter));
        counters.read(&counter)
    }
}

#[derive(Default)]
struct FileMutation;

/// A file that was uploaded.
#[derive(SimpleObject)]
struct KeptFile {
    name: String,
    content_type: Option<String>,
    bytes: u64,
    sha256: String,
}

fn read_upload(ctx: &Context<'_>, file: Upload) -> Result<KeptFile> {
    let mut upload = file.value(ctx)?;
    let mut content = Vec::new();
    upload.content.read_to_end(&mut content)?;
    Ok(KeptFile {
        name: upload.filename,
        content_type: upload.content_type,
        bytes: content.len() as u64,
        sha256: HEXLOWER.encode(&vault::sha256(&content)),
    })
}

#[Object]
impl FileMutation {
    /// Returns the properties of a file.
    async fn keep_file(&self, ctx: &Context<'_>, file: Upload) -> Result<KeptFile> {
        read_upload(ctx, file)
    }

    /// Returns the properties of files.
    async fn keep_files(&self, ctx: &Context<'_>, files: Vec<Upload>) -> Result<Vec<KeptFile>> {
        files.into_iter().map(|file| read_upload(ctx, file)).collect()
    }

    /// Returns the properties of a file. For administrators.
    async fn import_file(&self, ctx: &Context<'_>, file: Upload) -> Result<KeptFile> {
        read_upload(ctx, file)
    }
}

#[derive(Default)]
struct CounterSubscription;

#[Subscription]
impl CounterSubscription {
    /// The counter, now and after each change.
    async fn counter_changed(
        &self,
        ctx: &Context<'_>,
        id: String,
    ) -> impl Stream<Item = Result<Counter, ApiError>> {
        counter_states(ctx.platform(), ctx.data_unchecked::<Arc<Counters>>().clone(), id)
    }

    /// The counter with the viewer's id.
    async fn my_counter_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<Counter, ApiError>>, ApiError> {
        let id = ctx.viewer()?.user.to_string();
        Ok(counter_states(ctx.platform(), ctx.data_unchecked::<Arc<Counters>>().clone(), id))
    }

    /// The numbers from 1 to `last`.
    async fn count_to(&self, last: i32) -> impl Stream<Item = i32> {
        stream::iter(1..=last)
    }

    /// This number of values, then an error.
    async fn fails_after(&self, values: i32) -> impl Stream<Item = Result<i32, ApiError>> {
        let error = Error::new(ErrorCode::Conflict, "As it was asked to.");
        stream::iter(1..=values).map(Ok).chain(stream::iter([Err(ApiError::from(error))]))
    }

    /// Panics after a value.
    async fn panics(&self) -> impl Stream<Item = i32> {
        stream::iter([1, 2]).map(|value| if value == 2 { panic!("on purpose") } else { value })
    }
}

fn counter_states(
    platform: &Platform,
    counters: Arc<Counters>,
    id: String,
) -> impl Stream<Item = Result<Counter, ApiError>> + use<> {
    stream_states(platform.events.stream_states(topic(&id), move || {
        let counter = counters.read(&id);
        async move { Ok(counter) }
    }))
}
