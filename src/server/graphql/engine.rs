//! The one road to the executor, on every transport: text, document, costs, values, and then it runs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{
    Executor, ObjectType, Pos, Request, Response, SDLExportOptions, Schema, SubscriptionType,
    Value, Variables, value,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::cost::{self, Cost};
use super::documents::{self, Documents};
use super::parse::Parser;
use super::question::Question;
use super::slots::Slot;
use super::types::Types;
use super::{coercion, omission, subscriptions};
use crate::api::{Asked, UploadRule};
use crate::config::graphql::Graphql;
use crate::error::{ErrorCode, Failure};
use crate::platform::vault::{self, Hash};

/// What is wrong with a request, and where in the document.
pub type Fault = (Failure, Option<Pos>);

/// A schema, whatever its roots are, and what is held against documents before they reach it.
pub struct Engine {
    executor: Box<dyn Execute>,
    types: Types,
    documents: Documents,
    parser: Parser,
    uploads: HashMap<&'static str, UploadRule>,
    settings: Graphql,
}

/// An operation that may run.
pub struct Prepared {
    request: Request,
    /// Whether it reads, changes or listens.
    pub kind: OperationType,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its fields at the top.
    pub fields: Vec<String>,
    tells_cost: Option<Cost>,
    register: Option<(Hash, Arc<str>)>,
    /// What its files take up, until it has run.
    slot: Option<Slot>,
}

impl Prepared {
    /// Holds a slot until it has run.
    pub fn hold(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Gives its resolvers something to ask for.
    pub fn map(&mut self, change: impl FnOnce(Request) -> Request) {
        self.request = change(std::mem::replace(&mut self.request, Request::new("")));
    }
}

/// async-graphql's executor behind `dyn`.
trait Execute: Send + Sync {
    fn execute(&self, request: Request) -> BoxFuture<'_, Response>;
    fn stream(&self, request: Request) -> BoxStream<'static, Response>;
}

impl<E: Executor> Execute for E {
    fn execute(&self, request: Request) -> BoxFuture<'_, Response> {
        Executor::execute(self, request).boxed()
    }

    fn stream(&self, request: Request) -> BoxStream<'static, Response> {
        self.execute_stream(request, None)
    }
}

impl Engine {
    /// For a schema and the rules of its mutations that take files.
    ///
    /// # Errors
    /// What is wrong with the manifest of trusted documents.
    pub fn new<Q, M, S>(
        schema: Schema<Q, M, S>,
        uploads: &[UploadRule],
        settings: Graphql,
    ) -> Result<Self, String>
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let manifest = settings.trusted_documents.as_deref();
        let trusted = manifest.map(|path| {
            documents::read_manifest(path, &settings.documents)
                .map_err(|problem| format!("TRUSTED_DOCUMENTS: {}: {problem}", path.display()))
        });
        Ok(Self {
            types: Types::read(&schema.sdl_with_options(SDLExportOptions::new())),
            executor: Box::new(schema),
            documents: Documents::new(settings.persisted_queries, trusted.transpose()?),
            parser: Parser::new(settings.documents.clone()),
            uploads: uploads.iter().map(|rule| (rule.field, *rule)).collect(),
            settings,
        })
    }

    /// Checks all that can be checked before anything runs. `files` are the paths of the files that come
    /// with the request ("variables.file").
    ///
    /// # Errors
    /// What is wrong: the document, or its variables.
    pub fn prepare(
        &self,
        mut question: Question,
        files: &HashSet<String>,
    ) -> Result<Prepared, Vec<Fault>> {
        let nowhere = |failure| vec![(failure, None)];
        let tells_cost = question.wants_cost();
        let found = self.documents.find(&mut question).map_err(nowhere)?;
        let mut document = self.parser.parse(&found.text).map_err(|fault| vec![fault])?;
        let mut variables = Value::from_json(question.variables.unwrap_or_default().into())
            .map(Variables::from_value)
            .unwrap_or_default();
        let operation =
            operation_of(&document, question.operation_name.as_deref()).map_err(nowhere)?;
        let cost =
            cost::of(&self.types, &self.settings.documents, &document, operation, &variables)
                .map_err(nowhere)?;
        let fields = top_fields(&document, &operation.selection_set.node);
        if !self.settings.introspection
            && fields.iter().any(|field| matches!(field.as_str(), "__schema" | "__type"))
        {
            let message = "The schema is not told here; its text is published as schema.graphql.";
            return Err(nowhere(
                Failure::new(ErrorCode::GraphqlValidationFailed, message)
                    .because("INTROSPECTION_DISABLED"),
            ));
        }
        let located = |faults: Vec<(Failure, Pos)>| {
            faults.into_iter().map(|(failure, at)| (failure, Some(at))).collect::<Vec<_>>()
        };
        let places =
            coercion::check_document(&self.types, &document, operation).map_err(located)?;
        let kind = operation.ty;
        let field = (kind == OperationType::Subscription)
            .then(|| subscriptions::field(&document, &operation.selection_set.node))
            .transpose()
            .map_err(nowhere)?;
        coercion::check_variables(&self.types, operation, &places, &variables, files).map_err(
            |failures| failures.into_iter().map(|failure| (failure, None)).collect::<Vec<_>>(),
        )?;
        omission::fill(operation, &mut variables);
        if let Some(field) = field {
            subscriptions::hoist(&mut document, question.operation_name.as_deref(), field);
            subscriptions::shrink(&mut document, question.operation_name.as_deref());
        }
        omission::apply(&mut document, question.operation_name.as_deref(), &variables);
        let mut request = Request::new("").variables(variables);
        if kind == OperationType::Subscription {
            let name = question.operation_name.as_deref();
            let asked = asked(&found.text, name, &request.variables);
            request = request.data(asked);
        }
        if let Some(name) = &question.operation_name {
            request = request.operation_name(name);
        }
        request.set_parsed_query(document);
        Ok(Prepared {
            request,
            kind,
            name: question.operation_name,
            fields,
            tells_cost: tells_cost.then_some(cost),
            register: found.register_as.map(|hash| (hash, found.text)),
            slot: None,
        })
    }

    /// The strictest rule of an operation's fields that take files.
    ///
    /// # Errors
    /// BAD_REQUEST when one of them takes none.
    pub fn upload_rule(&self, prepared: &Prepared) -> Result<UploadRule, Failure> {
        let mut strictest: Option<UploadRule> = None;
        for field in &prepared.fields {
            let rule = self.uploads.get(field.as_str()).ok_or_else(|| {
                Failure::new(ErrorCode::BadRequest, format!("{field} takes no files."))
            })?;
            strictest = Some(strictest.map_or(*rule, |other| UploadRule {
                field: rule.field,
                needs_admin: rule.needs_admin || other.needs_admin,
                most_bytes: rule.most_bytes.min(other.most_bytes),
            }));
        }
        strictest.ok_or_else(|| Failure::new(ErrorCode::BadRequest, "There is no field."))
    }

    /// The most bytes of a request with files.
    pub fn upload_bytes(&self) -> u64 {
        self.settings.upload_bytes
    }

    /// Runs a query or a mutation.
    pub async fn execute(&self, prepared: Prepared) -> Response {
        let Prepared { request, tells_cost, register, slot: _slot, .. } = prepared;
        let response = self.executor.execute(request).await;
        self.heard(response, tells_cost, register)
    }

    /// Runs any operation, one answer after the other.
    pub fn stream(self: Arc<Self>, prepared: Prepared) -> BoxStream<'static, Response> {
        use futures_util::StreamExt;
        let Prepared { request, tells_cost, register, .. } = prepared;
        let mut first = Some((tells_cost, register));
        self.executor
            .stream(request)
            .map(move |response| match first.take() {
                Some((tells_cost, register)) => self.heard(response, tells_cost, register),
                None => response,
            })
            .boxed()
    }

    fn heard(
        &self,
        mut response: Response,
        tells_cost: Option<Cost>,
        register: Option<(Hash, Arc<str>)>,
    ) -> Response {
        if let Some((hash, text)) = register.filter(|_| was_executed(&response)) {
            self.documents.register(hash, text);
        }
        if let Some(cost) = tells_cost {
            let most = self.settings.documents.cost;
            let cost = value!({ "requested": cost.fields, "most": most });
            response.extensions.insert("cost".into(), cost);
        }
        response
    }
}

/// What an operation asks for, in one value.
fn asked(text: &str, name: Option<&str>, variables: &Variables) -> Asked {
    Asked::new(vault::sha256(&serde_json::to_vec(&(text, name, variables)).expect("JSON")))
}

/// Whether an operation ran, as opposed to being refused by validation.
pub fn was_executed(response: &Response) -> bool {
    response.data != Value::Null || response.errors.iter().any(|error| !error.path.is_empty())
}

fn operation_of<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d OperationDefinition, Failure> {
    let mut operations = document.operations.iter();
    let chosen = match name {
        Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted)),
        None => operations.next().filter(|_| document.operations.iter().count() == 1),
    };
    chosen.map(|(_, operation)| &operation.node).ok_or_else(|| {
        let message = "Name one of the document's operations with operationName.";
        Failure::new(ErrorCode::OperationResolutionFailure, message)
    })
}

/// The names of the fields at the top, through fragments, each once.
fn top_fields(document: &ExecutableDocument, set: &SelectionSet) -> Vec<String> {
    let (mut fields, mut seen) = (Vec::new(), HashSet::new());
    let mut sets = vec![set];
    while let Some(set) = sets.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.to_string();
                    if !fields.contains(&name) {
                        fields.push(name);
                    }
                }
                Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = document.fragments.get(name)
                        && seen.insert(name)
                    {
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    fields
}
