//! The GraphQL engine: checks a request completely, then runs it. Every transport uses it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{
    Executor, Name, ObjectType, Request, Response, SDLExportOptions, Schema, SubscriptionType,
    Value, Variables, value,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::request::concurrency_limiter::ConcurrencyPermit;
use super::request::parameters::GraphQLRequest;
use super::request::persisted_documents::{self, PersistedDocuments};
use super::response::was_executed;
use super::validation::cost::{Cost, check_operation_cost};
use super::validation::document::Document;
use super::validation::input_validation::{validate_document, validate_variables};
use super::validation::omitted_variables::{apply_variable_defaults, remove_omitted_variables};
use super::validation::parser_cache::ParserCache;
use super::validation::request_error::RequestError;
use super::validation::schema_index::SchemaIndex;
use super::validation::subscription_field::{inline_root_field, single_root_field};
use super::validation::whole_numbers::convert_whole_numbers;
use crate::api::{OperationKey, UploadRule};
use crate::config::graphql::GraphqlConfig;
use crate::error::{ErrorCode, UserError};
use crate::platform::vault::{self, Hash};

/// The argument with the secret of an API connection.
const SECRET_ARGUMENT: &str = "secret";

/// A schema, with everything that a request is checked against.
pub struct Engine {
    executor: Box<dyn DynExecutor>,
    schema: SchemaIndex,
    documents: PersistedDocuments,
    parser: ParserCache,
    upload_rules: HashMap<&'static str, UploadRule>,
    settings: GraphqlConfig,
}

/// An operation that passed all checks.
pub struct PreparedOperation {
    request: Request,
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The names of its root fields.
    root_fields: Vec<Name>,
    /// Whether it has a secret of an API connection as an argument.
    pub has_secret: bool,
    /// The cost, if the client wants it in the response.
    include_cost: Option<Cost>,
    /// The document that becomes a persisted one when the operation has run.
    register: Option<(Hash, Arc<str>)>,
    /// Held until the operation has run.
    permit: Option<ConcurrencyPermit>,
}

/// An operation to run, or the errors of the request.
pub type PrepareResult = Result<PreparedOperation, Vec<RequestError>>;

impl PreparedOperation {
    /// Holds a permit until the operation has run.
    pub fn hold_permit(&mut self, permit: ConcurrencyPermit) {
        self.permit = Some(permit);
    }

    /// Changes the request that is executed.
    pub fn map_request(&mut self, change: impl FnOnce(Request) -> Request) {
        self.request = change(std::mem::replace(&mut self.request, Request::new("")));
    }
}

/// async-graphql's executor as a trait object: the engine does not depend on the root types.
trait DynExecutor: Send + Sync {
    fn execute(&self, request: Request) -> BoxFuture<'_, Response>;
    fn stream(&self, request: Request) -> BoxStream<'static, Response>;
}

impl<E: Executor> DynExecutor for E {
    fn execute(&self, request: Request) -> BoxFuture<'_, Response> {
        Executor::execute(self, request).boxed()
    }

    fn stream(&self, request: Request) -> BoxStream<'static, Response> {
        self.execute_stream(request, None)
    }
}

impl Engine {
    /// Creates the engine of a schema. `upload_rules` are those of the mutations that take files.
    ///
    /// # Errors
    /// Why the manifest of trusted documents cannot be used.
    pub fn new<Q, M, S>(
        schema: Schema<Q, M, S>,
        upload_rules: &[UploadRule],
        settings: GraphqlConfig,
    ) -> Result<Self, String>
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let manifest = settings.trusted_documents.as_deref();
        let trusted = manifest.map(|path| {
            persisted_documents::read_manifest(path, &settings.document_limits)
                .map_err(|problem| format!("TRUSTED_DOCUMENTS: {}: {problem}", path.display()))
        });
        Ok(Self {
            schema: SchemaIndex::from_sdl(&schema.sdl_with_options(SDLExportOptions::new())),
            executor: Box::new(schema),
            documents: PersistedDocuments::new(
                settings.allows_persisted_queries,
                trusted.transpose()?,
            ),
            parser: ParserCache::new(settings.document_limits.clone()),
            upload_rules: upload_rules.iter().map(|rule| (rule.field, *rule)).collect(),
            settings,
        })
    }

    /// Checks a request: document, cost, literals and variables. `files` are the paths of its files
    /// ("variables.file").
    pub fn prepare(&self, mut request: GraphQLRequest, files: &HashSet<String>) -> PrepareResult {
        let single = |error: UserError| vec![RequestError::from(error)];
        let wants_cost = request.wants_cost();
        let resolved = self.documents.resolve(&mut request).map_err(single)?;
        let parsed = self.parser.parse(&resolved.text).map_err(|error| vec![error])?;
        let mut variables = Value::from_json(request.variables.unwrap_or_default().into())
            .map(Variables::from_value)
            .unwrap_or_default();
        let mut document =
            Document::select(parsed, request.operation_name.as_deref()).map_err(single)?;
        convert_whole_numbers(&self.schema, document.operation(), &mut variables);
        let limits = &self.settings.document_limits;
        let cost =
            check_operation_cost(&self.schema, limits, &document, &variables).map_err(single)?;
        let root = document.root_selection();
        let root_fields = root.field_names();
        let has_secret = root.has_argument(SECRET_ARGUMENT);
        self.check_introspection(&root_fields).map_err(single)?;
        let usages = validate_document(&self.schema, &document)?;
        let kind = document.operation().ty;
        let subscription_field = match kind {
            OperationType::Subscription => Some(single_root_field(&root).map_err(single)?),
            OperationType::Query | OperationType::Mutation => None,
        };
        validate_variables(&self.schema, document.operation(), &usages, &variables, files)
            .map_err(|errors| errors.into_iter().map(RequestError::from).collect::<Vec<_>>())?;
        apply_variable_defaults(document.operation(), &mut variables);
        if let Some(field) = subscription_field {
            inline_root_field(&mut document, field);
            document.shrink_to_fit();
        }
        remove_omitted_variables(&mut document, &variables);
        let mut executable = Request::new("").variables(variables);
        if kind == OperationType::Subscription {
            let name = request.operation_name.as_deref();
            let key = operation_key(&resolved.text, name, &executable.variables);
            executable = executable.data(key);
        }
        if let Some(name) = &request.operation_name {
            executable = executable.operation_name(name);
        }
        executable.set_parsed_query(document.into_parsed());
        Ok(PreparedOperation {
            request: executable,
            kind,
            name: request.operation_name,
            root_fields,
            has_secret,
            include_cost: wants_cost.then_some(cost),
            register: resolved.register_as.map(|hash| (hash, resolved.text)),
            permit: None,
        })
    }

    fn check_introspection(&self, root_fields: &[Name]) -> Result<(), UserError> {
        let is_introspection = |name: &Name| matches!(name.as_str(), "__schema" | "__type");
        if self.settings.allows_introspection || !root_fields.iter().any(is_introspection) {
            return Ok(());
        }
        let message = "The schema is not told here; its text is published as schema.graphql.";
        Err(UserError::new(ErrorCode::GraphqlValidationFailed, message)
            .with_reason("INTROSPECTION_DISABLED"))
    }

    /// The strictest of the upload rules of an operation's root fields.
    ///
    /// # Errors
    /// BAD_REQUEST when one of them takes no files.
    pub fn upload_rule(&self, prepared: &PreparedOperation) -> Result<UploadRule, UserError> {
        let mut strictest: Option<UploadRule> = None;
        for field in &prepared.root_fields {
            let rule = self.upload_rules.get(field.as_str()).ok_or_else(|| {
                UserError::new(ErrorCode::BadRequest, format!("{field} takes no files."))
            })?;
            strictest = Some(strictest.map_or(*rule, |other| UploadRule {
                field: rule.field,
                needs_admin: rule.needs_admin || other.needs_admin,
                max_bytes: rule.max_bytes.min(other.max_bytes),
            }));
        }
        strictest.ok_or_else(|| UserError::new(ErrorCode::BadRequest, "There is no field."))
    }

    /// The most bytes that a request with files may have.
    pub fn max_upload_bytes(&self) -> u64 {
        self.settings.max_upload_bytes
    }

    /// Runs a query or a mutation.
    pub async fn execute(&self, prepared: PreparedOperation) -> Response {
        let PreparedOperation { request, include_cost, register, permit: _permit, .. } = prepared;
        let response = self.executor.execute(request).await;
        self.finish(response, include_cost, register)
    }

    /// Runs an operation of any kind. Yields its responses.
    pub fn stream(self: Arc<Self>, prepared: PreparedOperation) -> BoxStream<'static, Response> {
        use futures_util::StreamExt;
        let PreparedOperation { request, include_cost, register, .. } = prepared;
        let mut first = Some((include_cost, register));
        self.executor
            .stream(request)
            .map(move |response| match first.take() {
                Some((include_cost, register)) => self.finish(response, include_cost, register),
                None => response,
            })
            .boxed()
    }

    /// Registers the document if the operation ran, and adds the cost to the response.
    fn finish(
        &self,
        mut response: Response,
        include_cost: Option<Cost>,
        register: Option<(Hash, Arc<str>)>,
    ) -> Response {
        if let Some((hash, text)) = register.filter(|_| was_executed(&response)) {
            self.documents.register(hash, text);
        }
        if let Some(cost) = include_cost {
            let max = self.settings.document_limits.max_cost;
            let cost = value!({ "requested": cost.fields, "most": max });
            response.extensions.insert("cost".into(), cost);
        }
        response
    }
}

/// The key of a subscription: equal subscriptions share their responses.
fn operation_key(text: &str, name: Option<&str>, variables: &Variables) -> OperationKey {
    OperationKey::new(vault::sha256(&serde_json::to_vec(&(text, name, variables)).expect("JSON")))
}
