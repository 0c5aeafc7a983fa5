//! The GraphQL schema: merges the roots of all modules, and prints the schema.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, SchemaBuilder};

use crate::accounts::graphql::{
    AccountSubscription, AuthenticationMutation, AuthenticationQuery, CodeMutation, CodeQuery,
    CodeSubscription, DeleteAccountMutation, PasswordMutation, ProfileMutation, SessionMutation,
};
use crate::api::UploadRule;
use crate::avatars::MAX_FILE_BYTES;
use crate::avatars::graphql::{AvatarMutation, AvatarSubscription};
use crate::bonuses::graphql::{
    BonusMutation, BonusQuery, BonusSubscription, CampaignStatsPage, ImportPage, LeadMutation,
    LeadQuery,
};
use crate::coins::graphql::{CoinEntryPage, CoinQuery, CoinSubscription};
use crate::connections::graphql::{
    CallLogPage, CallMutation, ConnectionHealthQuery, ConnectionMutation, ConnectionQuery,
    ConnectionSubscription, CreateConnectionMutation, MappingMutation, MappingQuery, ProviderQuery,
    RefreshConnectionMutation,
};
use crate::contacts::graphql::{ContactMutation, ContactPage, ContactQuery};
use crate::dashboard::graphql::{
    DashboardQuery, DashboardSubscription, SystemStatusQuery, SystemStatusSubscription,
};
use crate::games::graphql::{
    GameMutation, GameQuery, LeaderboardQuery, LeaderboardSubscription, RoundPage,
};
use crate::messages::graphql::{MessageMutation, MessagePage, MessageQuery, MessageSubscription};
use crate::people::graphql::PeopleQuery;

/// Reading. A field that fails is null beside its error; the others answer all the same.
#[derive(MergedObject, Default)]
pub struct Query(
    AuthenticationQuery,
    CodeQuery,
    PeopleQuery,
    ContactQuery,
    GameQuery,
    LeaderboardQuery,
    CoinQuery,
    MessageQuery,
    BonusQuery,
    LeadQuery,
    ProviderQuery,
    ConnectionQuery,
    ConnectionHealthQuery,
    MappingQuery,
    DashboardQuery,
    SystemStatusQuery,
);

/// Changing. Fields run one after the other; one that fails is null beside its error and stops no other.
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
    BonusMutation,
    LeadMutation,
    CreateConnectionMutation,
    ConnectionMutation,
    RefreshConnectionMutation,
    CallMutation,
    MappingMutation,
);

/// Listening. The first event is the state now, each later one the new state.
#[derive(MergedSubscription, Default)]
pub struct Subscription(
    AccountSubscription,
    CodeSubscription,
    AvatarSubscription,
    LeaderboardSubscription,
    CoinSubscription,
    MessageSubscription,
    BonusSubscription,
    ConnectionSubscription,
    DashboardSubscription,
    SystemStatusSubscription,
);

/// The mutations that accept uploads.
pub const UPLOAD_RULES: &[UploadRule] = &[
    UploadRule { field: "uploadAvatar", needs_admin: false, max_bytes: MAX_FILE_BYTES },
    // UPLOAD_MAX_BYTES is the limit.
    UploadRule { field: "importBonuses", needs_admin: true, max_bytes: u64::MAX },
];

/// The schema without the data that resolvers need.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .override_output_type_description::<ContactPage>("A page of contacts, by name.")
        .override_output_type_description::<RoundPage>("A page of rounds, the newest first.")
        .override_output_type_description::<CoinEntryPage>(
            "A page of a wallet's entries, the newest first.",
        )
        .override_output_type_description::<MessagePage>("A page of messages, the newest first.")
        .override_output_type_description::<CallLogPage>("A page of calls, the newest first.")
        .override_output_type_description::<ImportPage>("A page of imports, the newest first.")
        .override_output_type_description::<CampaignStatsPage>(
            "A page of campaigns, the newest first.",
        )
}

/// The text of the schema, as in `schema.graphql`.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}
